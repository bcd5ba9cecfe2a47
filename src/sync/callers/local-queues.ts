import { refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import type { CallersHost } from './callers-host.ts';
import type { HandOffLimits } from './hand-off.ts';
import { LocalQueue } from './local-queue.ts';
import type { Proofs } from './proofs.ts';
import { ProtectedKeys } from './protected-keys.ts';
import type { QueueEvents } from './ticket.ts';

/** The queues of one manager by their keys, each for as long as somebody is in it or something of it is left. */
export class LocalQueues {
  /** What a commit must leave alone. */
  readonly protectedKeys: ProtectedKeys;
  readonly #host: CallersHost;
  readonly #proofs: Proofs;
  readonly #limits: HandOffLimits;
  readonly #events: QueueEvents;
  readonly #onQueue: () => void;
  readonly #queues = new Map<string, LocalQueue>();
  #isTaken: (key: string) => boolean = () => false;

  constructor(
    host: CallersHost,
    proofs: Proofs,
    limits: HandOffLimits,
    events: QueueEvents,
    onQueue: () => void,
  ) {
    this.#host = host;
    this.#proofs = proofs;
    this.#limits = limits;
    this.#events = events;
    this.#onQueue = onQueue;
    this.protectedKeys = new ProtectedKeys(this.#queues, host.keyspace);
  }

  /** Keys where something else of this manager's session stands: where locks race, it would be taken for the lock's own record. */
  exclude(isTaken: (key: string) => boolean): void {
    this.#isTaken = isTaken;
  }

  /** Made anew if it was forgotten. Throws `invalid-key`. */
  of(key: string): LocalQueue {
    return this.#queues.get(key) ?? this.#make(key);
  }

  [Symbol.iterator](): Iterator<LocalQueue> {
    return this.#queues.values();
  }

  #make(key: string): LocalQueue {
    const path = this.#host.keyspace.lockPath(key);
    if (this.#isTaken(key)) {
      const what =
        "is a claim or a record of this manager's session, and no lock: give one of them another name";
      throw refused('invalid-key', `key ${quoteKey(key)} ${what}`);
    }
    const queue: LocalQueue = new LocalQueue(
      this.#host,
      this.#proofs,
      key,
      path,
      this.#limits,
      this.#events,
      () => {
        if (!queue.empty || this.#queues.get(key) !== queue) return;
        this.#queues.delete(key);
        this.protectedKeys.forget(path);
      },
    );
    this.#queues.set(key, queue);
    this.#onQueue();
    this.protectedKeys.add(key, path);
    return queue;
  }
}
