import { isSyncError, SyncError } from '../../contract/errors.ts';
import type { Answer } from './client.ts';
import { asciiPartOf, carryable, encodePath, plainPartOf } from './keys.ts';
import { type Entry, entryOf, parseExact } from './record.ts';
import type { Listing, Target } from './scope.ts';
import type { Lane, Transport } from './transport.ts';

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
  readonly #requestTimeout: number;
  readonly #suffix: string;

  constructor(transport: Transport, requestTimeout: number, datacenter: string | undefined) {
    this.#transport = transport;
    this.#requestTimeout = requestTimeout;
    this.#suffix = datacenter === undefined ? '' : `&dc=${encodeURIComponent(datacenter)}`;
  }

  async read({ text, tree }: Target, options: ReadOptions): Promise<Listing> {
    let refusal: unknown;
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
  async #ask({ text, tree }: Target, carried: string, { after, ...options }: ReadOptions): Promise<Listing> {
    const recurse = tree || carried !== text;
    const blocking = after === undefined ? '' : `&index=${after.index}&wait=${Math.ceil(after.wait)}ms`;
    const path = `/kv/${encodePath(carried)}?consistent${recurse ? '&recurse' : ''}${blocking}${this.#suffix}`;
    // The server adds up to a sixteenth to what it was asked to wait.
    const timeout = this.#requestTimeout + (after === undefined ? 0 : after.wait * (1 + 1 / 16));
    const answer = await this.#transport.call({ method: 'GET', path, timeout, ...options });
    const index = String(answer.headers['x-consul-index'] ?? '');
    // Without an index this 404 is not about the key, but from something that knows no such path.
    if (!/^\d{1,20}$/.test(index) || answer.status === 409) throw this.#strange(answer);
    const entries = answer.status === 404 ? [] : this.#entries(answer.body);
    if (!entries.every(({ key }) => (recurse ? key.startsWith(carried) : key === text))) {
      throw this.#bad('tells of a key that was not asked for');
    }
    return {
      index: BigInt(index),
      entries: entries.filter(({ key }) => (tree ? key.startsWith(text) : key === text)),
    };
  }

  #strange(answer: Answer): SyncError {
    return answer.status === 200 ? this.#bad('has no index') : this.#transport.refuse(answer);
  }

  #entries(body: Buffer): Entry[] {
    let parsed: unknown;
    try {
      parsed = parseExact(body);
    } catch {
      throw this.#bad('is no JSON');
    }
    if (!Array.isArray(parsed)) throw this.#bad('is no list');
    return parsed.map(entryOf);
  }

  #bad(how: string): SyncError {
    return new SyncError('bad-response', `what ${this.#transport.address} answered ${how}: is that Consul?`);
  }
}
