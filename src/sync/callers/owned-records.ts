import type { Clock } from '../../async/clock.ts';
import type { OwnContext } from '../../async/own-context.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend, Commit, CommitResult } from '../../contract/backend.ts';
import { OVER, refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { retryDelay } from '../../contract/retry.ts';
import type { Session } from '../session/session.ts';
import type { SessionKeeper, SessionListener } from '../session/session-keeper.ts';
import { Connecting } from './connecting.ts';
import type { Keyspace } from './keyspace.ts';
import type { OpenCall } from './scoped.ts';

/** A record that is to go with the session, as the manager's callers name it. */
export interface OwnedPut {
  readonly key: string;
  readonly keep: boolean;
}

export interface OwnedRecordsHost {
  readonly backend: Backend;
  readonly clock: Clock;
  readonly context: OwnContext;
  readonly keeper: SessionKeeper;
  readonly keyspace: Keyspace;
  readonly openCalls: Set<OpenCall>;
  background(task: Promise<unknown>): void;
  trouble(error: unknown, key: string): void;
  /** `kept`: it is being put again. */
  lost(key: string, kept: boolean): void;
}

interface OwnedRecord {
  readonly value: Uint8Array;
  readonly keep: boolean;
  /** Under which it stands, or stood last. */
  session: string;
}

/** The records that go with the session of this manager, other than those of locks and claims: presence, wishes. */
export class OwnedRecords implements SessionListener {
  readonly #host: OwnedRecordsHost;
  readonly #records = new Map<string, OwnedRecord>();
  readonly #controller = new AbortController();

  constructor(host: OwnedRecordsHost) {
    this.#host = host;
    host.keeper.listen(this);
  }

  has(key: string): boolean {
    return this.#records.has(key);
  }

  /** Carries out a commit with records that the session is to own. */
  async commit(commit: Commit, owned: readonly OwnedPut[], signal: AbortSignal): Promise<CommitResult> {
    const { backend, keeper, keyspace } = this.#host;
    const names = new Map(owned.map((put) => [keyspace.stored(put.key), put]));
    for (;;) {
      const session = await this.#liveSession(signal);
      const then = commit.then.map((mutation) =>
        mutation.put !== undefined && names.has(mutation.put)
          ? { ...mutation, session: session.id }
          : mutation,
      );
      const result = await backend.commit({ ...commit, then } as Commit, signal);
      if (!result.ok && result.why === 'session-gone') {
        keeper.reportGone(session);
        continue;
      }
      if (result.ok) {
        for (const { put, value } of then) {
          const name = put === undefined ? undefined : names.get(put);
          if (name !== undefined && value !== undefined) this.#wrote(name, value, session);
        }
      }
      return result;
    }
  }

  /** A commit has removed these, as the store names them. */
  removed({ then }: Commit): void {
    if (this.#records.size === 0) return;
    for (const { remove } of then)
      if (remove !== undefined) this.#records.delete(this.#host.keyspace.own(remove));
  }

  sessionLive(session: Session): void {
    for (const [key, record] of this.#records) {
      if (record.session !== session.id) this.#begin(key, record, session);
    }
  }

  sessionEnded({ id }: Session): void {
    for (const [key, { session, keep }] of this.#records) {
      if (session !== id) continue;
      if (!keep) this.#records.delete(key);
      this.#host.lost(key, keep);
    }
  }

  sessionTrouble(): void {}

  /** Removes all of them: before the session goes, whose end may keep their keys back. Never rejects. */
  async drain(): Promise<void> {
    this.#controller.abort(OVER);
    const { backend, keyspace } = this.#host;
    const { signal } = new AbortController();
    const removals = [...this.#records].map(async ([name, { session }]) => {
      const key = keyspace.stored(name);
      // Else it goes with the session.
      await backend
        .commit({ when: [{ key, session }], then: [{ remove: key }] }, signal)
        .catch(() => undefined);
    });
    this.#records.clear();
    await Promise.all(removals);
  }

  async #liveSession(signal: AbortSignal): Promise<Session> {
    const { keeper, clock, openCalls } = this.#host;
    for (;;) {
      const { current } = keeper;
      if (current?.trusted === true) return current;
      await new Connecting(keeper, clock, { signal }, openCalls).promise;
      // It may have been lost again, in the same turn.
      await sleep(clock, 0, signal);
    }
  }

  #wrote({ key, keep }: OwnedPut, value: Uint8Array, session: Session): void {
    const record = { value, keep, session: session.id };
    this.#records.set(key, record);
    // It came through while its session ended.
    const { current } = this.#host.keeper;
    if (current === session) return;
    if (!keep) this.#records.delete(key);
    this.#host.lost(key, keep);
    if (keep && current !== undefined) this.#begin(key, record, current);
  }

  #begin(key: string, record: OwnedRecord, session: Session): void {
    const { context, background } = this.#host;
    background(context.run(() => this.#restore(key, record, session).catch(() => undefined)));
  }

  /** Puts it again, under a session, until that ends. What an earlier one left there is removed before. */
  async #restore(key: string, record: OwnedRecord, session: Session): Promise<void> {
    const { keeper, clock, trouble } = this.#host;
    const { signal } = this.#controller;
    for (let failures = 0; this.#records.get(key) === record && keeper.current === session; ) {
      try {
        const pause = await this.#putAgain(key, record, session, signal);
        if (pause === undefined) return;
        failures = 0;
        await sleep(clock, pause, signal);
      } catch (error) {
        if (signal.aborted) return;
        trouble(error, key);
        await sleep(clock, retryDelay(error, failures, clock.random()), signal);
        failures += 1;
      }
    }
  }

  /** Resolves to the milliseconds after which it is to be tried again; to nothing when there is no more to do. */
  async #putAgain(
    name: string,
    record: OwnedRecord,
    session: Session,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { backend, keeper, keyspace } = this.#host;
    const key = keyspace.stored(name);
    const put = { put: key, value: record.value, session: session.id };
    const result = await backend.commit({ when: [{ key, is: 'absent' }], then: [put] }, signal);
    if (result.ok) {
      record.session = session.id;
      return undefined;
    }
    if (result.why === 'delayed') return result.retryAfter;
    if (result.why === 'session-gone') {
      keeper.reportGone(session);
      return undefined;
    }
    const [there] = (await backend.query({ key }, { signal })).records;
    if (there === undefined) return 0;
    if (there.session === session.id) {
      record.session = session.id;
      return undefined;
    }
    if (there.session === undefined || !keeper.wasOurs(there.session)) {
      this.#records.delete(name);
      const what = `key ${quoteKey(name)} holds a record of somebody else's in the place of this manager's own`;
      throw refused('foreign-record', `${what}; it was left untouched`);
    }
    const { revision } = there;
    await backend.commit({ when: [{ key, revision }], then: [{ remove: key }] }, signal);
    return 0;
  }
}
