import type { Model, Operation } from './linearizability.ts';

/** What clients do with the lock of one key, and with a value beside it. */
export type LockAction =
  /** `after` is the next smaller one of the tokens that were granted, 0 if there is none. */
  | { readonly does: 'acquire'; readonly token: bigint; readonly after: bigint }
  /** A look at `held`, which said yes. */
  | { readonly does: 'look'; readonly token: bigint }
  | { readonly does: 'release'; readonly token: bigint }
  | { readonly does: 'write'; readonly token: bigint; readonly value: string }
  | { readonly does: 'read' };

export type LockAnswer = 'done' | 'refused' | { readonly value: string | undefined };

export type LockOperation = Operation<LockAction, LockAnswer>;

export interface FencedLock {
  readonly holder: bigint | undefined;
  /** The largest token so far. */
  readonly largest: bigint;
  readonly value: string | undefined;
}

/**
 * A lock with fencing tokens. Any grant may end on its own at any time after it was made: its session expires, or a
 * release of unknown outcome arrives. It is enough to let that happen where it has to, when another grant is made or a
 * write is refused, as a grant that is still there forbids nothing else.
 *
 * Tokens only rise, so the order of the grants is known beforehand, and there is nothing to search for in it.
 */
export function fencedLock(value: string | undefined): Model<FencedLock, LockAction, LockAnswer> {
  return { initial: { holder: undefined, largest: 0n, value }, step, key, inert };
}

function step(state: FencedLock, { input, output }: LockOperation): FencedLock | undefined {
  if (input.does === 'read') {
    return typeof output === 'object' && output.value === state.value ? state : undefined;
  }
  const { token } = input;
  if (input.does === 'acquire') {
    const isNext = input.after === state.largest && token > state.largest;
    return isNext ? { ...state, holder: token, largest: token } : undefined;
  }
  // Nobody can do anything with a token that is yet to be granted.
  if (token > state.largest) return undefined;
  const holds = state.holder === token;
  if (input.does === 'release' || output === 'refused')
    return holds ? { ...state, holder: undefined } : state;
  if (!holds) return undefined;
  return input.does === 'write' ? { ...state, value: input.value } : state;
}

function inert({ holder, largest }: FencedLock, { input }: LockOperation): boolean {
  if (input.does === 'look' || input.does === 'read') return true;
  if (input.does === 'acquire') return input.token <= largest;
  // Once its grant is over, a token never becomes the holder's again.
  return holder !== input.token && input.token <= largest;
}

function key({ holder, largest, value }: FencedLock): string {
  return `${holder} ${largest} ${value === undefined ? '' : JSON.stringify(value)}`;
}

/** @param start the instant that times are told from. */
export function describe(operation: LockOperation, start: number): string {
  const { client, input, output } = operation;
  const at = (instant: number): string => (instant - start).toFixed(3);
  const from = at(operation.call);
  const when = operation.return === undefined ? `from ${from}` : `${from} to ${at(operation.return)}`;
  switch (input.does) {
    case 'acquire':
      return `${client} was granted token ${input.token} (${when})`;
    case 'look':
      return `${client} still held token ${input.token} (at ${from})`;
    case 'release':
      return `${client} gave token ${input.token} back (${when})`;
    case 'write': {
      const outcome = output === 'refused' ? 'was refused' : 'was accepted';
      const told = operation.return === undefined ? 'has an unknown outcome' : outcome;
      return `${client}'s write of ${text(input.value)} with token ${input.token} ${told} (${when})`;
    }
    case 'read':
      return `${client} read ${typeof output === 'object' ? text(output.value) : 'something'} (${when})`;
  }
}

/** Why this operation cannot come next. */
export function objection({ holder, largest, value }: FencedLock, { input }: LockOperation): string {
  if (input.does === 'read') return `the value was ${text(value)}`;
  const { token } = input;
  if (input.does === 'acquire') {
    if (token <= largest) return `token ${largest} had been granted already`;
    return `the smaller token ${input.after} was granted only later`;
  }
  if (token > largest) return `nobody had been granted token ${token}`;
  if (holder !== undefined) return `by then token ${holder} had been granted`;
  return 'by then that grant was over: given back, or a write of its holder had been refused';
}

export function describeState({ holder, value }: FencedLock): string {
  const held = holder === undefined ? 'nobody holds the lock' : `token ${holder} holds the lock`;
  return `${held}, and the value is ${text(value)}`;
}

function text(value: string | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
