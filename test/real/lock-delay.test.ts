import type { Backend } from 'holdfast';
import { expect, inject, test } from 'vitest';
import { slowed } from '../busy.ts';
import { live, Managers, stateOf, uniqueKey, until } from '../scenarios/world.ts';
import { startConsul } from '../servers/consul.ts';
import { withVerbs } from '../with-verbs.ts';
import { holdInChild } from './crash.ts';
import { connectTo } from './stores.ts';

const TTL = 2_000;
const LOCK_DELAY = 4_000;
const SECOND = 1_000;
/** What a timer of Node may be early by. */
const EARLY = 5;

/** The same backend, with the instants noted at which the server was asked for a lock. */
function attempts(backend: Backend, key: string): { readonly backend: Backend; readonly sent: number[] } {
  const sent: number[] = [];
  return {
    sent,
    backend: withVerbs(backend, {
      commit: (commit, signal) => {
        const at = performance.now();
        const result = backend.commit(commit, signal);
        const asks = commit.then.some((mutation) => mutation.put === backend.lockPath(key));
        if (asks) result.then(() => sent.push(at)).catch(() => undefined);
        return result;
      },
    }),
  };
}

test.concurrent('FAULTS 20: after a crash, a process asks at most once a second, and acquires within the lock-delay and 1 s', async () => {
  const address = inject('consulAddress');
  const backend = () => connectTo('Consul', address);
  await using managers = new Managers({ name: 'Consul', ttl: TTL, lockDelay: LOCK_DELAY, backend });
  const key = uniqueKey('delayed');
  using doomed = await holdInChild('Consul', address, key, { ttl: TTL, lockDelay: LOCK_DELAY });
  const counted = attempts(backend(), key);
  const sync = managers.make({ backend: counted.backend });
  // Many callers of a process are one contender.
  const calls = Array.from({ length: 20 }, () => sync.acquire(key));
  await until(() => counted.sent.length > 0);
  doomed.crash();
  const operator = managers.operator();
  await until(async () => (await operator.query({ key }, { signal: live })).records.length === 0);
  const freed = performance.now();
  const grant = await (calls[0] as (typeof calls)[number]);
  const took = performance.now() - freed;
  const inDelay = counted.sent.filter((at) => at > freed - SECOND);
  expect(grant.token).toBeGreaterThan(doomed.token);
  expect(took).toBeLessThan(LOCK_DELAY + slowed(SECOND));
  expect(leastGap(inDelay)).toBeGreaterThan(SECOND - EARLY);
  expect(inDelay.length).toBeGreaterThan(LOCK_DELAY / SECOND - 1);
  console.info(
    `FAULTS 20 Consul: ${inDelay.length} attempts, ${Math.round(leastGap(inDelay))} ms apart at least, acquired ` +
      `${Math.round(took)} ms after the session's end`,
  );
  for (const call of calls) await (await call).release();
});

test.concurrent('FAULTS 20: a lock-delay that a restarted server begins anew is waited for', async () => {
  await using server = await startConsul({ sessionTtlMin: '1s', persistent: true });
  const backend = () => connectTo('Consul', server.address);
  await using managers = new Managers({ name: 'Consul', ttl: TTL, lockDelay: LOCK_DELAY, backend });
  const key = uniqueKey('rearmed');
  using doomed = await holdInChild('Consul', server.address, key, { ttl: TTL, lockDelay: LOCK_DELAY });
  const counted = attempts(backend(), key);
  const lock = managers.make({ backend: counted.backend }).lock(key);
  await lock.tryLock();
  doomed.crash();
  const operator = managers.operator();
  await until(async () => (await operator.query({ key }, { signal: live })).records.length === 0);
  const freed = performance.now();
  await until(() => counted.sent.filter((at) => at > freed).length >= 2);
  await server.kill();
  await server.restart();
  const ready = performance.now();
  const inDelay = () => counted.sent.filter((at) => at > ready);
  await stateOf(lock, 'held');
  const took = performance.now() - ready;
  expect(lock.grant?.token).toBeGreaterThan(doomed.token);
  expect(took).toBeLessThan(LOCK_DELAY + slowed(SECOND));
  expect(leastGap(inDelay())).toBeGreaterThan(SECOND - EARLY);
  console.info(
    `FAULTS 20 Consul restarted in the delay: ${inDelay().length} more attempts, ${Math.round(leastGap(inDelay()))} ms apart ` +
      `at least, acquired ${Math.round(took)} ms after it was ready, ${Math.round(performance.now() - freed)} ms after the session's end`,
  );
});

function leastGap(instants: readonly number[]): number {
  return Math.min(Infinity, ...instants.slice(1).map((at, before) => at - (instants[before] as number)));
}
