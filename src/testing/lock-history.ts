import { monotonic } from '../async/platform.ts';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkChoice, checkFunction, invalidOf, shown } from './checks.ts';
import { linearizable } from './linearizability.ts';
import {
  describe,
  describeState,
  fencedLock,
  type LockAction,
  type LockAnswer,
  type LockOperation,
  objection,
} from './lock-model.ts';

export interface LockHistoryOptions {
  /** Milliseconds, of one clock for all clients. Default: `performance.now`. */
  readonly now?: () => number;
  /** The value before the first write. Default: none. */
  readonly value?: string;
}

export interface LockCheckOptions {
  /**
   * Whether no two clients may believe at once that they hold. To be switched off where operators interfered: then
   * beliefs may overlap for a moment, while tokens and writes must be right nevertheless. Default `true`.
   */
  readonly beliefs?: boolean;
  /** How many steps the search may take. Default 5 million. */
  readonly steps?: number;
}

export type LockVerdict =
  | { readonly ok: true; readonly operations: number }
  | { readonly ok: false; readonly message: string };

const OPTIONS: Names<LockHistoryOptions> = { now: true, value: true };
const CHECK_OPTIONS: Names<LockCheckOptions> = { beliefs: true, steps: true };

const invalid = invalidOf('LockHistory');

/** How much of what could be put in order a message tells. */
const LAST = 8;

/**
 * What the clients of one lock saw of it, and of one value that only its holder writes. `check` tells whether a lock with
 * fencing tokens, and a store that refuses the writes of former holders, can have looked like this.
 *
 * Each call is told of before it is made and after it has ended. One that never ends, or ends as `unknown`, may have had
 * its effect, may have it yet, or never.
 */
export class LockHistory {
  readonly #now: () => number;
  readonly #value: string | undefined;
  readonly #operations: LockOperation[] = [];
  /** The first and the last look of each client for each token: between them nobody else can have held. */
  readonly #looks = new Map<string, Map<bigint, { readonly first: number; last: number }>>();
  readonly #unfinished = new Set<LockOperation>();

  constructor(options: LockHistoryOptions = {}) {
    refuseUnknown(options, OPTIONS, invalid);
    const { now = monotonic, value } = options;
    checkFunction(invalid, 'now', now);
    if (value !== undefined && typeof value !== 'string') {
      throw invalid('value', `must be a string, not ${shown(value)}`);
    }
    this.#now = now;
    this.#value = value;
  }

  /** @param call when it was asked for, if that was earlier than now. */
  acquiring(
    client: string,
    call: number = this.#now(),
  ): { granted(token: bigint): void; nothing(): void; unknown(): void } {
    return {
      granted: (token) => this.#add(client, call, { does: 'acquire', token, after: 0n }, 'done'),
      // Neither says anything about the others.
      nothing: () => {},
      unknown: () => {},
    };
  }

  /** This client looked at `held` just now, and it said yes. To be called as often as you like. */
  looked(client: string, token: bigint): void {
    const now = this.#now();
    let looks = this.#looks.get(client);
    if (looks === undefined) {
      looks = new Map();
      this.#looks.set(client, looks);
    }
    const earlier = looks.get(token);
    if (earlier === undefined) looks.set(token, { first: now, last: now });
    else earlier.last = now;
  }

  /** `done` is for a release that is known to have reached the store: not where the session ended meanwhile. */
  releasing(client: string, token: bigint): { done(): void; unknown(): void } {
    const call = this.#now();
    return {
      done: () => this.#add(client, call, { does: 'release', token }, 'done'),
      // A grant may end at any time anyway.
      unknown: () => {},
    };
  }

  /** A write of the value that the store accepts only from the holder (`grant.isOwner`), for no other reason. */
  writing(
    client: string,
    token: bigint,
    value: string,
  ): { accepted(): void; refused(): void; unknown(): void } {
    const call = this.#now();
    const input = { does: 'write', token, value } as const;
    const begun = { client, call, input };
    this.#unfinished.add(begun);
    const ended = (answer: LockAnswer): void => {
      if (this.#unfinished.delete(begun)) this.#add(client, call, input, answer);
    };
    return { accepted: () => ended('done'), refused: () => ended('refused'), unknown: () => {} };
  }

  reading(client: string): { got(value: string | undefined): void } {
    const call = this.#now();
    return { got: (value) => this.#add(client, call, { does: 'read' }, { value }) };
  }

  check(options: LockCheckOptions = {}): LockVerdict {
    refuseUnknown(options, CHECK_OPTIONS, invalid);
    const { beliefs = true, steps } = options;
    checkChoice(invalid, 'beliefs', beliefs, [true, false]);
    const operations = inTokenOrder([
      ...this.#operations,
      ...this.#unfinished,
      ...(beliefs ? this.#beliefs() : []),
    ]);
    const result = linearizable(fencedLock(this.#value), operations, steps === undefined ? {} : { steps });
    if (result.ok) return { ok: true, operations: operations.length };
    if (result.why === 'undecided') {
      return { ok: false, message: `undecided after ${result.steps} steps: too many operations at once` };
    }
    const start = Math.min(...operations.map(({ call }) => call));
    const lines = [
      'what was seen of the lock can have happened in no order. Times in ms since the first call.',
      `  As far as it goes, ${result.longest.length} of ${operations.length}, the last of them:`,
      ...result.longest.slice(-LAST).map((operation) => `    ${describe(operation, start)}`),
      `  Then ${describeState(result.state)}. But:`,
      ...result.blocked
        .slice(0, LAST)
        .map((operation) => `    ${describe(operation, start)}: ${objection(result.state, operation)}`),
    ];
    return { ok: false, message: lines.join('\n') };
  }

  #add(client: string, call: number, input: LockAction, output: LockAnswer): void {
    this.#operations.push({ client, call, return: this.#now(), input, output });
  }

  *#beliefs(): Iterable<LockOperation> {
    for (const [client, looks] of this.#looks) {
      for (const [token, { first, last }] of looks) {
        for (const at of new Set([first, last])) {
          yield { client, call: at, return: at, input: { does: 'look', token }, output: 'done' };
        }
      }
    }
  }
}

function inTokenOrder(operations: readonly LockOperation[]): LockOperation[] {
  const tokens = operations
    .flatMap(({ input }) => (input.does === 'acquire' ? [input.token] : []))
    .sort((a, b) => (a < b ? -1 : Number(a > b)));
  const before = new Map<bigint, bigint>();
  for (const [place, token] of tokens.entries()) {
    // One that was granted twice must not wait for itself.
    if (!before.has(token)) before.set(token, tokens[place - 1] ?? 0n);
  }
  return operations.map((operation) => {
    const { input } = operation;
    if (input.does !== 'acquire') return operation;
    return { ...operation, input: { ...input, after: before.get(input.token) ?? 0n } };
  });
}
