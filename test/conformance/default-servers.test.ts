import { consul } from 'holdfast/consul';
import { etcd } from 'holdfast/etcd';
import { type ConformanceSubject, conformance } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { patience } from '../crowd.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { uniquePrefix } from './unique-prefix.ts';

/** As docs/testing.md says it. */
async function runAll(subject: ConformanceSubject): Promise<number> {
  const cases = conformance(subject);
  await Promise.all(cases.map(({ run }) => run()));
  return cases.length;
}

test.concurrent('E12: all cases at once pass on a Consul with its defaults', async () => {
  await using server = await startConsul();
  const self = JSON.parse((await server.http('GET', '/v1/agent/self')).body);
  // Its own limits: sessions of 10 s and more, 200 connections from one address.
  expect(self.DebugConfig).toMatchObject({ SessionTTLMin: '0s', HTTPMaxConnsPerClient: 200 });
  const passed = await runAll({
    name: 'consul',
    open: () => consul({ addresses: [server.address] }),
    prefix: uniquePrefix,
    sessionTtl: 10_000,
    expiryFactor: 2,
    // Longer than a busy machine takes from the end of a session to a look at its key.
    lockDelay: 3_000,
    patience: patience(10_000),
  });
  expect(passed).toBeGreaterThan(90);
}, 180_000);

test.concurrent('E12: all cases at once pass on an etcd with its defaults', async () => {
  await using server = await startEtcd({ unsafeNoFsync: false });
  const passed = await runAll({
    name: 'etcd',
    open: () => etcd({ hosts: [server.address] }),
    prefix: uniquePrefix,
    sessionTtl: 2_000,
    expiryFactor: 1,
    // All at once they wait for a disk, too.
    patience: patience(10_000),
  });
  expect(passed).toBeGreaterThan(90);
}, 180_000);
