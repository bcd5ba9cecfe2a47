// Compiled by `npm run typecheck`, never run: what users may write, and what must not compile.
import {
  type Backend,
  type Change,
  type Claim,
  type Clock,
  type CommitResult,
  type Grant,
  type Lock,
  type LossReason,
  leadershipLock,
  lockWithKey,
  type Proof,
  type StoredRecord,
  SyncError,
  SyncManager,
} from 'holdfast';
import { consul } from 'holdfast/consul';
import { syncModule } from 'holdfast/di';
import { etcd } from 'holdfast/etcd';
import { backendOf, type Driver, type Request, type Verdict, Window } from 'holdfast/kit';
import { type Item, type Lease, type LeaseEnd, LeasePool, type PoolEvent } from 'holdfast/leases';
import { memory } from 'holdfast/memory';
import { openTelemetry } from 'holdfast/opentelemetry';
import { install, installSql, postgres } from 'holdfast/postgres';
import {
  type ConformanceClientOptions,
  type ConformancePause,
  type ConformanceSubject,
  conformance,
} from 'holdfast/testing';
import { Pool } from 'pg';

declare function same<T>(value: T): <U extends T>(other: U & (T extends U ? U : never)) => void;

const backend: Backend = memory();
const bytes = new Uint8Array();
const owned = { put: 'a', value: 'text', session: 's' };
const both = { put: 'a', remove: 'b', value: 'text' };
new SyncManager({ name: 'svc', backend, session: { ttl: 5_000 } });
new SyncManager({ name: 'svc', backend, metadata: () => ({ zone: 'a', tags: ['x', 1, null] }) });
etcd({ hosts: ['a:2379', 'b:2379'], username: 'u', password: 'p' });
etcd({
  username: () => 'u',
  password: async () => 'p',
  hosts: 'https://a',
  tls: async () => ({ ca: 'pem' }),
});
consul({ addresses: ['a:8500'], token: 't', lockFlags: 1n, node: 'n' });
consul({ token: () => 't', tls: async () => ({ ca: 'pem' }) });
postgres({ connectionString: 'postgres://a/b', schema: 's', listen: false });
postgres({ pool: new Pool(), listen: 'postgres://a/b' });
postgres({ query: async (text, values) => [{ text, values }] });
void install(new Pool(), { schema: 's', role: 'app' });
const sql: string = installSql({ role: 'app' });
void sql;
// @ts-expect-error a pool is no string
postgres({ pool: 'postgres://a/b' });
syncModule({ name: 'svc', backend, claimLeadership: false });

new SyncManager({ name: 'svc', backend, logger: console, telemetry: openTelemetry() });
openTelemetry({ group: (key) => key.split('/')[0] });

// @ts-expect-error the group is made of the key
openTelemetry({ group: 'orders' });
// @ts-expect-error telemetry is told by the manager
new SyncManager({ name: 'svc', backend, telemetry: {} });
// @ts-expect-error a manager needs a backend
new SyncManager({ name: 'svc' });
// @ts-expect-error a manager needs a name
new SyncManager({ backend });
// @ts-expect-error durations are numbers of milliseconds
new SyncManager({ name: 'svc', backend, session: { ttl: '5s' } });
// @ts-expect-error an unknown option is a mistake
new SyncManager({ name: 'svc', backend, ttl: 5_000 });
// @ts-expect-error metadata is JSON
new SyncManager({ name: 'svc', backend, metadata: { at: new Date() } });
// @ts-expect-error flags have 64 bits, more than a number
consul({ lockFlags: 42 });
// @ts-expect-error a password is text
etcd({ username: 'u', password: () => 1 });
// @ts-expect-error a token is text
consul({ token: () => 42 });
// @ts-expect-error etcd has no ACL token
etcd({ token: 't' });

const subject = { name: 'mine', prefix: () => 'p/', sessionTtl: 1_000, expiryFactor: 1 } as const;
// A subject without steps need not know of them.
conformance({ ...subject, open: () => memory() });
const stepped: ConformanceSubject = {
  ...subject,
  async open({ pause }: ConformanceClientOptions) {
    const between: ConformancePause = pause;
    await between('after the locks');
    // @ts-expect-error a step has a name
    await pause();
    return backend;
  },
};
conformance(stepped);
// @ts-expect-error the pause is given to a client, not to the subject
conformance({ ...stepped, pause: async () => {} });

export async function uses(sync: SyncManager): Promise<void> {
  const lock: Lock = sync.lock('k', { metadata: 'me' });
  const grant: Grant = await lock.lock({ timeout: 1 });
  const maybe = await lock.tryLock();
  // @ts-expect-error it may not be held
  maybe.release();
  same<bigint>(grant.token)(1n as bigint);
  lock.lost$.subscribe(({ reason }) => same<LossReason>(reason)('deadline' as LossReason));
  const answer = await sync.withLock('k', ({ signal }) => signal.aborted);
  same<boolean>(answer)(true as boolean);

  const written = await sync.commit({ when: [grant.isOwner], then: [{ put: 'a', value: 'text' }] });
  if (written.ok) same<bigint>(written.revision)(1n as bigint);
  // @ts-expect-error a refused commit has no revision
  else same<bigint>(written.revision);
  // @ts-expect-error plain data has no session
  await sync.commit({ then: [{ put: 'a', value: 'text', session: 's' }] });
  // @ts-expect-error nor one that comes along unnoticed
  await sync.commit({ then: [owned] });
  // @ts-expect-error a mutation is one of two: A9
  await sync.commit({ then: [{ put: 'a', remove: 'b', value: 'text' }] });
  // @ts-expect-error as is one that was made elsewhere
  await sync.commit({ then: [both] });
  // @ts-expect-error what is removed has no value
  await sync.commit({ then: [{ remove: 'a', value: 'text' }] });
  // @ts-expect-error a condition says one thing
  await sync.commit({ when: [{ key: 'a', is: 'absent', revision: 1n }] });
  // @ts-expect-error nor two of one kind
  await sync.commit({ when: [{ key: 'a', revision: 1n, session: 's' }] });
  // @ts-expect-error a scope is a key or a prefix
  await sync.commit({ read: { key: 'a', prefix: 'b' } });
  // @ts-expect-error of a key there is only one
  await sync.commit({ read: { key: 'a', oldest: 1 } });
  // @ts-expect-error a queue is looked at from one end
  await sync.commit({ read: { prefix: 'a', oldest: 1, youngest: 1, before: 1n } });
  // @ts-expect-error backends are not asked two things either
  await backend.commit({ when: [], then: [{ put: 'a', remove: 'b', value: bytes }] }, grant.signal);
  // @ts-expect-error in any of the three
  await backend.commit({ when: [{ key: 'a', is: 'unowned', session: 's' }], then: [] }, grant.signal);
  // @ts-expect-error in queries too
  await backend.query({ key: 'a', youngest: 1, before: 1n }, { signal: grant.signal });
  // A proof is data, and so are its copies.
  const proof: Proof = structuredClone(grant.isOwner);
  const { key, revision, handOff } = proof;
  same<number>(handOff)(0 as number);
  await sync.commit({ when: [proof, { ...proof }, { key, revision, handOff }, { key, revision }] });
  await backend.commit({ when: [proof], then: [] }, grant.signal);
  // @ts-expect-error a token is no condition
  await sync.commit({ when: [grant.token] });
  // @ts-expect-error grants are made by the engine
  grant.held = true;

  await using scoped = await sync.acquire('k');
  scoped.assertHeld();
  await leadershipLock().tryLock();
  await lockWithKey('k', { metadata: { by: 'me' } }).release();

  const error = new SyncError('lost', 'gone');
  // @ts-expect-error codes are a closed list
  if (error.code === 'nonsense') return;
}

export async function buildsOn(sync: SyncManager): Promise<void> {
  const claim = await sync.claim('k', {
    value: bytes,
    when: [{ key: 'a', is: 'absent' }],
    then: [{ put: 'a', value: 'text' }, { remove: 'b' }],
    read: { prefix: 'a' },
    timeout: 1,
  });
  // @ts-expect-error it may not be had
  claim.release();
  if (claim === undefined) return;
  same<Claim>(claim)(claim as Claim);
  // What takes a grant takes a claim.
  const grant: Grant = claim;
  same<readonly StoredRecord[]>(claim.read)([] as readonly StoredRecord[]);
  await claim.release({ then: [{ put: 'a', value: 'text' }], reason: new Error('preempted') });
  // @ts-expect-error a reason is an error
  await claim.release({ reason: 'preempted' });
  // @ts-expect-error with a release something is written, and nothing asked
  await claim.release({ when: [grant.isOwner] });
  // @ts-expect-error a claim has a value, and no metadata
  await sync.claim('k', { metadata: 'me' });
  // @ts-expect-error nor is it held for a time
  await sync.claim('k', { maxHold: 1 });
  // @ts-expect-error what was read is as it is
  claim.read.push();

  await sync.commit({ then: [{ put: 'a', value: 'text', owned: true, keep: true }] });
  // @ts-expect-error what is removed belongs to nobody
  await sync.commit({ then: [{ remove: 'a', owned: true }] });
  // @ts-expect-error whose it is is the manager's to say
  await sync.commit({ then: [{ put: 'a', value: 'text', owned: 's' }] });
  const change: Change = sync.begin().put('a', 'text', { owned: true }).remove('b').when(claim.isOwner);
  same<CommitResult>(await change.read({ key: 'a' }).commit({ signal: claim.signal }))({} as CommitResult);
  await sync.commit({ then: [{ remove: 'b' }] }, { in: change });
  // @ts-expect-error a condition is no key
  change.when('a');
  // @ts-expect-error a change is committed where it was begun
  change.commit({ in: change });

  const { records, at } = await sync.query({ prefix: 'a' }, { since: '1', wait: 1, signal: claim.signal });
  same<readonly StoredRecord[]>(records)([] as readonly StoredRecord[]);
  await sync.query({ key: 'a' }, { since: at });
  // @ts-expect-error a position comes from a query
  await sync.query({ key: 'a' }, { since: 1n });
  // @ts-expect-error a scope is a key or a prefix
  await sync.query({ key: 'a', prefix: 'b' });
  // @ts-expect-error a look has no terms
  sync.watch({ prefix: 'a' }, { since: at });
  sync.watch({ prefix: 'a' }).subscribe((seen) => same<readonly StoredRecord[]>(seen)(records));

  const fork: SyncManager = sync.fork({ session: { ttl: 5_000 } });
  // @ts-expect-error it goes by the same name
  sync.fork({ name: 'other' });
  // @ts-expect-error and by the same backend
  sync.fork({ backend });
  const takeBack: () => void = fork.onStop('before-release', async () => undefined);
  takeBack();
  // @ts-expect-error there is one stage
  fork.onStop('after-release', takeBack);
  same<Clock>(fork.clock)(sync.clock as Clock);
  // @ts-expect-error time is given to a manager when it is made
  sync.clock = fork.clock;
}

declare const driver: Driver<Request & { readonly encoded: Uint8Array }>;
new SyncManager({ name: 'svc', backend: () => backendOf(driver) });
new Window(4).tryEnter();
const verdicts: readonly Verdict<number>[] = [1, 'again', 'alone', new SyncError('rejected', 'no')];
verdicts.map((verdict) => verdict);
// @ts-expect-error a verdict is an answer, an error, or one of two words
verdicts.includes('later');
// @ts-expect-error a driver says what the server can do
backendOf({ traits: backend.traits });

interface Shard {
  readonly stream: string;
}

export async function leases(sync: SyncManager): Promise<void> {
  const pool = new LeasePool<Shard, number>(sync, { prefix: 'shards', session: { ttl: 2_000 }, maxItems: 5 });
  // Without types, attributes and positions are JSON.
  await new LeasePool(sync, { prefix: 'any' }).add({ id: 'a', attributes: ['x', { y: null }] });
  // @ts-expect-error a date is not
  await new LeasePool(sync, { prefix: 'any' }).add({ id: 'a', attributes: { at: new Date() } });
  // @ts-expect-error a pool has a name
  new LeasePool(sync, { maxItems: 5 });
  // @ts-expect-error an unknown option is a mistake
  new LeasePool(sync, { prefix: 'p', maxitems: 5 });
  // @ts-expect-error of a session of its own only the TTL
  new LeasePool(sync, { prefix: 'p', session: { ttl: 1, lockDelay: 1 } });
  // @ts-expect-error a policy is one of two, or a function
  new LeasePool(sync, { prefix: 'p', select: 'oldest' });
  new LeasePool<Shard>(sync, { prefix: 'p', select: (items) => items.toReversed() });
  // @ts-expect-error that gives items
  new LeasePool<Shard>(sync, { prefix: 'p', select: (items) => items.map(({ id }) => id) });
  new LeasePool<Shard>(sync, {
    prefix: 'p',
    attributes: { '~standard': { validate: (value) => ({ value: value as Shard }) } },
  });
  new LeasePool<Shard>(sync, {
    prefix: 'p',
    // @ts-expect-error a schema of something else
    attributes: { '~standard': { validate: () => ({ value: 7 }) } },
  });

  same<boolean>(await pool.add({ id: '0', attributes: { stream: 'a' } }))(true as boolean);
  same<number>(await pool.addAll([{ id: '1', attributes: { stream: 'a' } }]))(1 as number);
  // @ts-expect-error attributes are of the pool's type
  await pool.add({ id: '0', attributes: { streem: 'a' } });
  // @ts-expect-error an item has an id
  await pool.add({ attributes: { stream: 'a' } });
  const [listed] = await pool.list();
  if (listed === undefined) return;
  same<number | undefined>(listed.position)(1 as number | undefined);
  // @ts-expect-error nobody may hold it
  listed.holder.lesseeId;
  const updated = await pool.update({ ...listed, attributes: { stream: 'b' } });
  same<Item<Shard> | undefined>(updated)(undefined as Item<Shard> | undefined);
  // @ts-expect-error only what was read can be updated: it has a revision
  await pool.update({ id: '0', attributes: { stream: 'b' } });
  pool.items$.subscribe((items) => same<readonly Item<Shard>[]>(items)([] as readonly Item<Shard>[]));

  const lease: Lease<Shard, number> = await pool.lease('0', { lesseeId: 'me' });
  await pool.obtain({ lesseeId: 'me', timeout: 1 });
  await pool.waitUntilObtained({ lesseeId: 'me', signal: lease.signal, timeout: 1 });
  // @ts-expect-error a lessee has a name
  await pool.obtain({});
  same<bigint>(lease.token)(1n as bigint);
  same<string>(lease.item.attributes.stream)('a' as string);
  same<number | undefined>(lease.position)(1 as number | undefined);
  await lease.checkpoint(1);
  // @ts-expect-error a position is of the pool's type
  await lease.checkpoint('1');
  await lease.release({ checkpoint: 2 });
  // @ts-expect-error of the same one
  await lease.release({ checkpoint: '2' });
  lease.lost$.subscribe(({ reason }) => same<LeaseEnd>(reason)('removed' as LeaseEnd));
  await sync.commit({ when: [lease.isOwner], then: [{ put: 'a', value: 'text' }] });
  // @ts-expect-error leases are made by a pool
  lease.position = 3;
  await using scoped = await pool.obtain({ lesseeId: 'me' });
  scoped.assertHeld();

  const fleet = pool.balance({ weight: 2, maxItems: 3, yieldTimeout: 1_000 }, async ({ position }) =>
    same<number | undefined>(position)(1 as number | undefined),
  );
  fleet.assignment$.subscribe((ids) => same<readonly string[]>(ids)([] as readonly string[]));
  await fleet.stop();
  // @ts-expect-error shares are by weight, not by a number of items
  pool.balance({ concurrency: 2 }, () => undefined);
  // @ts-expect-error what works is somebody
  pool.work({ concurrency: 2 }, () => undefined);
  await using work = pool.work({ lesseeId: 'me', concurrency: 2, backoff: [1, 2] }, () => undefined);
  // @ts-expect-error a back-off is a first and a most
  pool.work({ lesseeId: 'me', backoff: [1] }, () => undefined);
  // @ts-expect-error it works on something
  pool.work({ lesseeId: 'me' });
  void work;
  pool.events$.subscribe((event: PoolEvent) => {
    if (event.type === 'lost') same<LeaseEnd>(event.reason)('lost' as LeaseEnd);
    // @ts-expect-error only a loss has a reason
    else event.reason;
  });
}
