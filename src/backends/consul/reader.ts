import { isSyncError, type SyncError } from '../../contract/errors.ts';
import type { Lane } from './connection.ts';
import { type Answer, badAnswer, statusError } from './errors.ts';
import { asciiPartOf, carryable, encodePath, plainPartOf } from './keys.ts';
import { type Entry, entryOf, parseExact } from './record.ts';
import type { Listing, Target } from './scope.ts';
import type { Transport } from './transport.ts';

export interface ReadOptions {
  readonly lane: Lane;
  readonly signal: AbortSignal;
  /** Bytes. */
  readonly maxBytes?: number;
  /** Block until the index is above this one, for at most so many milliseconds. */
  readonly after?: { readonly index: bigint; readonly wait: number };
}

/** Reads that no stale server answers (`consistent`). They cost no write to the log. */
export class Reader {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async read({ text, tree }: Target, options: ReadOptions): Promise<Listing> {
    let refusal: SyncError | undefined;
    for (const carried of new Set([carryable(text), asciiPartOf(text), plainPartOf(text)])) {
      try {
        return await this.#ask({ text, tree }, carried, options);
      } catch (error) {
        // Not every version takes every key in a path; but each takes the beginning of it.
        if (!isSyncError(error, 'rejected')) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  /** A path that carries only the beginning of a key or prefix lists what begins so, and the rest is left out here. */
  async #ask(
    { text, tree }: Target,
    carried: string,
    { after, signal, ...options }: ReadOptions,
  ): Promise<Listing> {
    const recurse = tree || carried !== text;
    const blocking = after === undefined ? '' : `&index=${after.index}&wait=${Math.ceil(after.wait)}ms`;
    const path = `/kv/${encodePath(carried)}?consistent${recurse ? '&recurse' : ''}${blocking}`;
    // The server adds up to a sixteenth to what it was asked to wait.
    const blocks = after === undefined ? 0 : after.wait * (1 + 1 / 16);
    const answer = await this.#transport.call(
      { method: 'GET', path, blocks, isRepeatable: true, ...options },
      signal,
    );
    const index = String(answer.headers['x-consul-index'] ?? '');
    if (answer.status === 409) throw statusError(answer);
    if (!/^\d{1,20}$/.test(index)) throw badAnswer(answer, 'has no index');
    const entries = answer.status === 404 ? [] : entriesIn(answer);
    if (!entries.every(({ key }) => (recurse ? key.startsWith(carried) : key === text))) {
      throw badAnswer(answer, 'tells of a key that was not asked for');
    }
    return {
      index: BigInt(index),
      entries: entries.filter(({ key }) => (tree ? key.startsWith(text) : key === text)),
    };
  }
}

function entriesIn(answer: Answer): Entry[] {
  let parsed: unknown;
  try {
    parsed = parseExact(answer.body);
  } catch {
    throw badAnswer(answer, 'is no JSON');
  }
  if (!Array.isArray(parsed)) throw badAnswer(answer, 'is no list');
  return parsed.map(entryOf);
}
