import type { ConformancePause } from 'holdfast/testing';
import type { Row } from '../../../src/backends/memory/records.ts';
import { toRecord } from '../../../src/backends/memory/records.ts';
import type { Commit, CommitResult, Condition, Mutation, Revision } from '../../../src/contract/backend.ts';
import { keyOf } from '../../../src/contract/validate.ts';
import { bury } from './bury.ts';
import type { Database } from './database.ts';
import type { Flaw } from './flaws.ts';
import { Transaction } from './transaction.ts';

/** Numbers that a client takes at a time where it does. */
const BLOCK = 50;

/** Commits of one client, each of them a transaction of several statements. */
export class Commits {
  readonly #database: Database;
  readonly #pause: ConformancePause;
  readonly #flaw: Flaw | undefined;
  #drawn: Revision = 0n;
  #left = 0;

  constructor(database: Database, pause: ConformancePause, flaw: Flaw | undefined) {
    this.#database = database;
    this.#pause = pause;
    this.#flaw = flaw;
  }

  /** Takes the values as they are now. */
  async run(wanted: Commit): Promise<CommitResult> {
    const then = wanted.then.map((each) =>
      each.put === undefined ? each : { ...each, value: new Uint8Array(each.value) },
    );
    const commit: Commit = { ...wanted, then };
    const result = await this.#attempt(commit);
    if (result.ok || result.why !== 'conflict' || !(await this.#buryDead(commit.when))) return result;
    return this.#attempt(commit);
  }

  async #attempt(commit: Commit): Promise<CommitResult> {
    const { when, then, read, count } = commit;
    const transaction = new Transaction(this.#database, this.#pause);
    try {
      let revision =
        this.#flaw === 'revisions drawn before the locks' ? await this.#draw(transaction) : undefined;
      await this.#lock(transaction, commit);
      const holds = await transaction.statement('the conditions', () =>
        when.every((condition) => isMet(condition, transaction.get(condition.key))),
      );
      const owners = ownersIn(then);
      const live = await transaction.statement('the sessions', () => owners.every((id) => this.#isLive(id)));
      if (!holds || !live) {
        const why = holds ? 'session-gone' : 'conflict';
        return { ok: false, why, ...(read && { read: transaction.select(read).map(toRecord) }) };
      }
      revision ??= await this.#draw(transaction);
      await this.#write(transaction, then, revision);
      const seen = await transaction.statement('the read', () => ({
        ...(read && { read: transaction.select(read).map(toRecord) }),
        ...(count !== undefined && { count: transaction.select({ prefix: count }).length }),
      }));
      await this.#tellAndApply(transaction);
      transaction.end();
      await this.#pause('after the commit');
      const counted = this.#flaw === 'counted apart' ? await this.#counted(count) : {};
      return { ok: true, revision, ...seen, ...counted };
    } finally {
      transaction.end();
    }
  }

  /** First the queues, then the sessions, then the records that are there. */
  async #lock(transaction: Transaction, { when, then, count }: Commit): Promise<void> {
    const keys = [...when.map(({ key }) => key), ...then.map(keyOf)];
    const isRelease = then.every(({ remove }) => remove !== undefined);
    const isUnlocked =
      this.#flaw === 'no queue locks' ||
      (this.#flaw === 'release without the lock of its queue' && isRelease);
    const queues = [...keys.map(directoryOf), ...(count === undefined ? [] : [count])];
    if (!isUnlocked) await transaction.lock(queues.map((queue) => `queue ${queue}`));
    if (this.#flaw !== 'no session locks')
      await transaction.lock(ownersIn(then).map((id) => `session ${id}`));
    const there = keys.filter((key) => this.#database.records.get(key) !== undefined);
    await transaction.lock(there.map((key) => `record ${key}`));
    await this.#pause('after the locks');
  }

  async #write(transaction: Transaction, then: readonly Mutation[], revision: Revision): Promise<void> {
    await transaction.statement('the writes', () => {
      for (const mutation of then) {
        const old = transaction.get(keyOf(mutation));
        if (mutation.put !== undefined) transaction.put(rowOf(mutation, old, revision));
        else if (old !== undefined) transaction.remove(old);
      }
    });
  }

  /** Of a queue only to those who stand in it or look at it, as far as that is known here. */
  async #tellAndApply(transaction: Transaction): Promise<void> {
    const { keys } = transaction;
    const wanted = await transaction.statement('the look for others', () =>
      keys.filter((key) => this.#hasOthers(transaction, key, keys)),
    );
    if (this.#flaw === 'told before it can be read') {
      this.#database.notify(wanted);
      await this.#pause('after the notice');
    }
    transaction.apply();
    if (this.#flaw !== 'told before it can be read')
      this.#database.notify(keys.filter((key) => wanted.includes(key) || this.#isSeenFromAbove(key)));
  }

  #hasOthers(transaction: Transaction, key: string, own: readonly string[]): boolean {
    const directory = directoryOf(key);
    if (!isQueue(directory) || this.#database.isWatched(directory)) return true;
    return transaction.select({ prefix: directory }).some((row) => !own.includes(row.key));
  }

  /** Who looks at all that is below somewhere higher does not take the lock of the queue. */
  #isSeenFromAbove(key: string): boolean {
    const directory = directoryOf(key);
    return this.#database.isOfInterest(directory) && !this.#database.isWatched(directory);
  }

  async #counted(prefix: string | undefined): Promise<{ count?: number }> {
    if (prefix === undefined) return {};
    const transaction = new Transaction(this.#database, this.#pause);
    return { count: await transaction.statement('the count', () => transaction.select({ prefix }).length) };
  }

  #draw(transaction: Transaction): Promise<Revision> {
    return transaction.statement('the revision', () => {
      if (this.#flaw !== 'revisions drawn in blocks') return this.#database.draw();
      if (this.#left === 0) {
        this.#drawn = this.#database.draw(BLOCK) - 1n;
        this.#left = BLOCK;
      }
      this.#left--;
      return ++this.#drawn;
    });
  }

  #isLive(id: string): boolean {
    const session = this.#database.sessions.get(id);
    return session !== undefined && session.expires > performance.now();
  }

  /** Whether a record in the way was of a session that is past its time. */
  async #buryDead(when: readonly Condition[]): Promise<boolean> {
    const owners = when.map(({ key }) => this.#database.records.get(key)?.session);
    const dead = owners.filter((id) => id !== undefined).filter((id) => !this.#isLive(id));
    for (const id of dead) await bury(this.#database, this.#pause, id);
    return dead.length > 0;
  }
}

export function directoryOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}

export function isQueue(directory: string): boolean {
  return directory.endsWith('/.lock/');
}

function isMet(condition: Condition, row: Row | undefined): boolean {
  if (condition.revision !== undefined) return row?.revision === condition.revision;
  if (condition.session !== undefined) return row !== undefined && row.session === condition.session;
  return condition.is === 'absent' ? row === undefined : row?.session === undefined;
}

function ownersIn(then: readonly Mutation[]): string[] {
  return then.flatMap(({ session }) => (session === undefined ? [] : [session]));
}

function rowOf(put: Extract<Mutation, { put: string }>, old: Row | undefined, revision: Revision): Row {
  const { put: key, value, session } = put;
  return { key, value, session, created: old?.created ?? revision, revision, foreign: undefined };
}
