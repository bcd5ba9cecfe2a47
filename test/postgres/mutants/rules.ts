import assert from 'node:assert/strict';
import { decodeCursor } from '../../../src/backends/postgres/cursor.ts';
import type { Backend, Commit, CommitResult } from '../../../src/contract/backend.ts';
import { quiet } from '../../../src/testing/conformance/timing.ts';
import { live, until } from '../../scenarios/world.ts';
import type { TestDatabase } from './database.ts';
import { Gate } from './gate.ts';

/** What the suite cannot ask for, since it is about statements of several commits, or about what is waited for in between. */
export interface Rule {
  readonly name: string;
  check(database: TestDatabase): Promise<void>;
}

const QUEUES = ['a/.lock/', 'b/.lock/'] as const;
const NOTHING = new Uint8Array();
/** Milliseconds. */
const LASTING = 60_000;
const SHORT = 500;
/** For what must happen at once, in milliseconds. */
const PATIENCE = 2_000;

export const revisionsFollowCounts: Rule = {
  name: 'who comes late to the queue has the larger revision, however early it was sent',
  async check(database) {
    await using clients = new Clients(database);
    const [late, early] = [clients.open(), clients.open()];
    const [lateSession, earlySession] = [await open(late), await open(early)];
    const unlock = await database.lockRow('SELECT FROM @.sessions WHERE id = $1 FOR UPDATE', [lateSession]);
    const entering = enter(late, QUEUES[0], lateSession);
    await database.settledOrBlocked(entering);
    const first = applied(await enter(early, QUEUES[0], earlySession));
    await unlock();
    const second = applied(await entering);
    assert.deepEqual([first.count, second.count], [1, 2]);
    assert.ok(second.revision > first.revision, 'the order of the revisions is that of the queue');
  },
};

export const noRevival: Rule = {
  name: 'a renewal does not revive what is past its time, though nobody has buried it',
  async check(database) {
    const [opened] = await database.sql("SELECT @.open_1(@.run_1(), 'nobody looks', 50) AS id");
    const past = 'SELECT FROM @.sessions WHERE id = $1 AND expires <= clock_timestamp()';
    await until(async () => (await database.sql(past, [opened?.id])).length === 1);
    const [renewal] = await database.sql('SELECT @.renew_1(@.run_1(), $1) AS renewed', [opened?.id]);
    assert.equal(renewal?.renewed, false);
  },
};

export const countTogether: Rule = {
  name: 'of two that enter the same queues at once, many at a time, exactly one counts itself alone in each',
  async check(database) {
    await using clients = new Clients(database);
    const gate = new Gate();
    const [first, second] = [clients.open(gate), clients.open()];
    const sessions = [await open(first), await open(second)] as const;
    const reached = gate.close('enter_many');
    const before = enterAll(first, sessions[0]);
    await reached;
    const after = enterAll(second, sessions[1]);
    await database.settledOrBlocked(after);
    gate.open();
    const counts = [...(await before), ...(await after)].map((result) => applied(result).count);
    assert.deepEqual(counts, [1, 1, 2, 2]);
  },
};

export const leaveNothing: Rule = {
  name: 'puts of many at a time and the close of their session at once leave nothing that is owned',
  async check(database) {
    await using clients = new Clients(database);
    const gate = new Gate();
    const [client, other] = [clients.open(gate), clients.open()];
    const session = await open(client);
    const reached = gate.close('enter_many');
    const entering = enterAll(client, session);
    await reached;
    const closing = other.closeSession(session, live);
    await database.settledOrBlocked(closing);
    gate.open();
    await Promise.all([entering, closing]);
    assert.deepEqual(await database.sql('SELECT key FROM @.records'), []);
  },
};

export const leaveAndTell = toldWhen('alone', [QUEUES[0]]);
export const leaveManyAndTell = toldWhen('with others', QUEUES);

function toldWhen(how: string, queues: readonly string[]): Rule {
  return {
    name: `who enters a queue while its holder leaves it ${how} is told, if he was counted behind him`,
    async check(database) {
      await using clients = new Clients(database);
      const [entrance, exit] = [new Gate(), new Gate()];
      const [holder, waiter] = [clients.open(exit), clients.open(entrance)];
      const sessions = [await open(holder), await open(waiter)] as const;
      await listening(waiter);
      const held = (await enterAll(holder, sessions[0], queues)).map(applied);
      const entered = entrance.close('enter');
      const entering = enter(waiter, QUEUES[0], sessions[1]);
      await entered;
      const left = exit.close(queues.length > 1 ? 'leave_many' : 'leave');
      const leaving = Promise.all(
        queues.map((queue, n) => leave(holder, queue + sessions[0], held[n]?.revision ?? 0n)),
      );
      await database.settledOrBlocked(left);
      entrance.open();
      const { revision, count } = applied(await entering);
      assert.equal(count, 2);
      const scope = { prefix: QUEUES[0], youngest: 2, before: revision + 1n };
      const { at, records } = await waiter.query(scope, { signal: live });
      assert.equal(records.length, 2);
      const told = waiter.query(scope, { since: at, wait: 10 * PATIENCE, signal: live });
      await left;
      exit.open();
      await leaving;
      assert.ok(await Promise.race([told, quiet(PATIENCE)]), 'told, and not by a look');
    },
  };
}

export const noSkew: Rule = {
  name: 'of two commits that each remove what the other one requires to be untouched one is applied at most',
  async check(database) {
    await using clients = new Clients(database);
    const gate = new Gate();
    const [first, second] = [clients.open(gate), clients.open()];
    const revisions = [await put(first, 'left'), await put(first, 'right')] as const;
    const reached = gate.close('commit');
    const removing = commit(first, {
      when: [{ key: 'left', revision: revisions[0] }],
      then: [{ remove: 'right' }],
    });
    await reached;
    const other = commit(second, {
      when: [{ key: 'right', revision: revisions[1] }],
      then: [{ remove: 'left' }],
    });
    await database.settledOrBlocked(other);
    gate.open();
    const results = await Promise.all([removing, other]);
    assert.equal(results.filter(({ ok }) => ok).length, 1);
  },
};

export const buryWithoutWaiting: Rule = {
  name: 'to bury waits neither for a put that is on its way, nor for who has taken a proof',
  async check(database) {
    await using clients = new Clients(database);
    const client = clients.open();
    const session = await open(client, SHORT);
    await enter(client, QUEUES[0], session);
    await database.sql(
      'SELECT pg_sleep(greatest(0, extract(epoch FROM expires - clock_timestamp()))::float8) FROM @.sessions',
    );
    const bury = () => database.sql('SELECT @.bury_1(@.run_1(), NULL) AS number');
    for (const row of [
      'SELECT FROM @.sessions WHERE id = $1 FOR KEY SHARE',
      'SELECT FROM @.records WHERE session = $1 FOR SHARE',
    ]) {
      const unlock = await database.lockRow(row, [session]);
      const burying = bury();
      await database.settledOrBlocked(burying);
      const settled = await Promise.race([burying, undefined]);
      await unlock();
      assert.deepEqual(settled, [{ number: 0 }], `not while somebody has ${row}`);
    }
    // Whoever notices does it: this one, or the client at the same moment.
    await until(async () => {
      await bury();
      return (await database.sql('SELECT key FROM @.records')).length === 0;
    });
  },
};

class Clients implements AsyncDisposable {
  readonly #database: TestDatabase;
  readonly #open: Backend[] = [];

  constructor(database: TestDatabase) {
    this.#database = database;
  }

  open({ pause } = new Gate()): Backend {
    const client = this.#database.open({ pause });
    this.#open.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((client) => client[Symbol.asyncDispose]()));
  }
}

async function open(client: Backend, ttl = LASTING): Promise<string> {
  return (await client.openSession({ name: 'rule', ttl, lockDelay: 0 }, live)).id;
}

function commit(client: Backend, wanted: Commit): Promise<CommitResult> {
  return client.commit(wanted, live);
}

async function put(client: Backend, key: string): Promise<bigint> {
  return applied(await commit(client, { when: [], then: [{ put: key, value: NOTHING }] })).revision;
}

function enter(client: Backend, queue: string, session: string): Promise<CommitResult> {
  const key = queue + session;
  return commit(client, {
    when: [{ key, is: 'absent' }],
    then: [{ put: key, value: NOTHING, session }],
    count: queue,
  });
}

/** Issued together, and so in one statement. */
function enterAll(
  client: Backend,
  session: string,
  queues: readonly string[] = QUEUES,
): Promise<CommitResult[]> {
  return Promise.all(queues.map((queue) => enter(client, queue, session)));
}

/** A client listens from its first wait on, and looks from time to time until it does. */
async function listening(client: Backend): Promise<void> {
  const scope = { key: 'listening' };
  let { at } = await client.query(scope, { signal: live });
  while (decodeCursor(at)?.epoch === undefined) {
    ({ at } = await client.query(scope, { since: at, wait: 10, signal: live }));
  }
}

function leave(client: Backend, key: string, revision: bigint): Promise<CommitResult> {
  return commit(client, { when: [{ key, revision }], then: [{ remove: key }] });
}

function applied(result: CommitResult): Extract<CommitResult, { ok: true }> {
  assert.ok(result.ok, 'applied');
  return result;
}
