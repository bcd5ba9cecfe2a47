import { LockHistory } from 'holdfast/testing';

/** A number as long as it is small; from a process of its own, where there is no bigint on the way, its text. */
type Token = number | string;

/** What a client did, and what came of it. A question mark: the outcome is unknown. */
export type Step =
  | readonly ['acquire', token: Token]
  | readonly ['look', token: Token]
  | readonly ['release' | 'release?', token: Token]
  | readonly ['write' | 'refused' | 'write?', token: Token, value: string]
  | readonly ['read', value?: string];

export interface Seen {
  /** Milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly client: string;
  readonly step: Step;
}

/** Tells a history what was seen, in the order of the instants. */
export function replay(all: readonly Seen[]): LockHistory {
  let now = 0;
  const history = new LockHistory({ now: () => now });
  const instants = all
    .flatMap((seen) => {
      let end = (): void => {};
      const begin = (): void => {
        end = beginning(history, seen);
      };
      return [
        { at: seen.from, run: begin },
        { at: seen.to, run: () => end() },
      ];
    })
    .sort((a, b) => a.at - b.at);
  for (const { at, run } of instants) {
    now = at;
    run();
  }
  return history;
}

function beginning(history: LockHistory, { client, step }: Seen): () => void {
  if (step[0] === 'read') {
    const reading = history.reading(client);
    return () => reading.got(step[1]);
  }
  const token = BigInt(step[1]);
  switch (step[0]) {
    case 'acquire': {
      const acquiring = history.acquiring(client);
      return () => acquiring.granted(token);
    }
    case 'look':
      return () => history.looked(client, token);
    case 'release':
    case 'release?': {
      const releasing = history.releasing(client, token);
      return () => (step[0] === 'release' ? releasing.done() : releasing.unknown());
    }
    case 'write':
    case 'refused':
    case 'write?': {
      const writing = history.writing(client, token, step[2]);
      const end = { write: writing.accepted, refused: writing.refused, 'write?': writing.unknown };
      return () => end[step[0]]();
    }
  }
}
