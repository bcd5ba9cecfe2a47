import type { Clock } from '../../async/clock.ts';
import type { OwnContext } from '../../async/own-context.ts';
import { sleep } from '../../async/sleep.ts';
import type { Backend, Commit, CommitResult, Revision } from '../../contract/backend.ts';
import { OVER, refused } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { retryDelay, wasRefused } from '../../contract/retry.ts';
import { Leftovers } from '../contender/leftovers.ts';
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
  readonly revision: Revision;
  /** Under which it stands, or stood last. */
  session: string;
  /** Under which it is being put again. */
  restoring: Session | undefined;
  /** It was put again at least once, or that was tried. */
  restored: boolean;
}

/** The records that go with the session of this manager, other than those of locks and claims: presence, wishes. */
export class OwnedRecords implements SessionListener {
  readonly #host: OwnedRecordsHost;
  readonly #records = new Map<string, OwnedRecord>();
  /** Keys that are being written: how many commits do so. */
  readonly #pending = new Map<string, number>();
  /** Keys of commits without an answer: something may stand there, and is not to outlast the manager. */
  readonly #unsure = new Set<string>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #controller = new AbortController();

  constructor(host: OwnedRecordsHost) {
    this.#host = host;
    host.keeper.listen(this);
  }

  /** Whether a record of this session stands there, or is about to. */
  has(key: string): boolean {
    return this.#records.has(key) || this.#pending.has(key);
  }

  /** Carries out a commit with records that the session is to own. */
  async commit(commit: Commit, owned: readonly OwnedPut[], signal: AbortSignal): Promise<CommitResult> {
    for (const { key } of owned) this.#pending.set(key, (this.#pending.get(key) ?? 0) + 1);
    const work = this.#commit(commit, owned, signal);
    this.#underWay.add(work);
    try {
      return await work;
    } catch (error) {
      if (!wasRefused(error)) for (const { key } of owned) this.#unsure.add(key);
      throw error;
    } finally {
      this.#underWay.delete(work);
      for (const { key } of owned) {
        const left = (this.#pending.get(key) ?? 1) - 1;
        if (left > 0) this.#pending.set(key, left);
        else this.#pending.delete(key);
      }
    }
  }

  /** Something was written besides: what it removed or wrote over is not to be put again. As the store names it. */
  removed(then: Commit['then']): void {
    if (this.#records.size === 0) return;
    for (const { remove } of then) {
      const name = remove === undefined ? undefined : this.#host.keyspace.own(remove);
      const record = name === undefined ? undefined : this.#records.get(name);
      if (name === undefined || record === undefined) continue;
      this.#records.delete(name);
      // It may be put again after the store has removed it, by a request that was on its way.
      if (record.restored) this.#keepAway(name);
    }
  }

  #keepAway(name: string): void {
    const { context, background, keeper } = this.#host;
    const { current } = keeper;
    if (current === undefined) return;
    const leftovers = new Leftovers(this.#host);
    leftovers.failed(current, undefined);
    background(
      context.run(() => this.#clear(name, leftovers, this.#controller.signal).catch(() => undefined)),
    );
  }

  sessionLive(session: Session): void {
    for (const [key, record] of this.#records) {
      if (record.session !== session.id && record.restoring !== session) this.#begin(key, record, session);
    }
  }

  sessionEnded({ id }: Session): void {
    this.#unsure.clear();
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
    const later = Promise.allSettled(this.#underWay).then(() => this.#removeAll());
    await Promise.all([this.#removeAll(), later]);
  }

  async #removeAll(): Promise<void> {
    const { backend, keeper, keyspace } = this.#host;
    const { signal } = new AbortController();
    const names = new Set([...this.#records.keys(), ...this.#unsure]);
    this.#records.clear();
    this.#unsure.clear();
    // Else they go with the session that had them.
    const session = keeper.current?.id;
    if (session === undefined) return;
    const removals = [...names].map(async (name) => {
      const key = keyspace.stored(name);
      await backend
        .commit({ when: [{ key, session }], then: [{ remove: key }] }, signal)
        .catch(() => undefined);
    });
    await Promise.all(removals);
  }

  async #commit(commit: Commit, owned: readonly OwnedPut[], signal: AbortSignal): Promise<CommitResult> {
    const { backend, keeper, keyspace, clock } = this.#host;
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
        // The keeper takes a turn to let go of it.
        await sleep(clock, 0, signal);
        continue;
      }
      if (result.ok) {
        for (const { put, value } of then) {
          const name = put === undefined ? undefined : names.get(put);
          if (name !== undefined && value !== undefined) this.#wrote(name, value, session, result.revision);
        }
      }
      return result;
    }
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

  #wrote({ key, keep }: OwnedPut, value: Uint8Array, session: Session, revision: Revision): void {
    const known = this.#records.get(key);
    // Of two commits at a time the answers may come in either order.
    if (known?.session === session.id && known.revision > revision) return;
    // That it was put again is not over by that: such a request may yet be on its way.
    const restored = known?.restored === true;
    const record = { value, keep, revision, session: session.id, restoring: undefined, restored };
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
    record.restoring = session;
    record.restored = true;
    background(context.run(() => this.#restore(key, record, session).catch(() => undefined)));
  }

  /** Puts it again, under a session, until that ends. What an earlier one left there is removed before. */
  async #restore(key: string, record: OwnedRecord, session: Session): Promise<void> {
    const { keeper, clock, trouble } = this.#host;
    const { signal } = this.#controller;
    for (let failures = 0; this.#records.get(key) === record && keeper.current === session; ) {
      try {
        const pause = await this.#putAgain(key, record, session, signal);
        if (pause === undefined) break;
        failures = 0;
        await sleep(clock, pause, signal);
      } catch (error) {
        if (signal.aborted) return;
        trouble(error, key);
        await sleep(clock, retryDelay(error, failures, clock.random()), signal);
        failures += 1;
      }
    }
    record.restoring = undefined;
  }

  /** For as long as such a request may come through. */
  async #clear(name: string, leftovers: Leftovers, signal: AbortSignal): Promise<void> {
    const { backend, keyspace } = this.#host;
    const key = keyspace.stored(name);
    while (!this.has(name)) {
      const found = await leftovers.find(() => key, signal);
      if (found === undefined || this.has(name)) return;
      const removal: Commit = { when: [{ key, session: found.id }], then: [{ remove: key }] };
      await backend.commit(removal, signal).catch(() => undefined);
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
      this.#standsUnder(record, session);
      return undefined;
    }
    if (result.why === 'delayed') return result.retryAfter;
    if (result.why === 'session-gone') {
      keeper.reportGone(session);
      return undefined;
    }
    const [there] = (await backend.query({ key }, { signal })).records;
    if (there === undefined) return 0;
    const isWanted = this.#records.get(name) === record && !this.#pending.has(name);
    // An older one was put again, while what was written last went with the session before.
    if (there.session === session.id && isWanted && Buffer.compare(there.value, record.value) !== 0) {
      await this.#takeBack(key, there.revision, signal);
      return 0;
    }
    if (there.session === session.id) {
      this.#standsUnder(record, session);
      return undefined;
    }
    if (there.session === undefined || !keeper.wasOurs(there.session)) {
      if (this.#records.get(name) === record) this.#records.delete(name);
      const what = `key ${quoteKey(name)} holds a record of somebody else's in the place of this manager's own`;
      throw refused('foreign-record', `${what}; it was left untouched`);
    }
    await this.#takeBack(key, there.revision, signal);
    return 0;
  }

  /** An answer under an earlier session says nothing of where it stands now. */
  #standsUnder(record: OwnedRecord, session: Session): void {
    if (this.#host.keeper.current === session) record.session = session.id;
  }

  async #takeBack(key: string, revision: Revision, signal: AbortSignal): Promise<void> {
    await this.#host.backend.commit({ when: [{ key, revision }], then: [{ remove: key }] }, signal);
  }
}
