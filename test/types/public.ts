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
