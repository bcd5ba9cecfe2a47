import { etcd } from 'holdfast/etcd';
import { conformance } from 'holdfast/testing';
import { describe, inject, it } from 'vitest';
import { uniquePrefix } from './unique-prefix.ts';

const host = inject('etcdAddress');

describe('etcd', () => {
  const cases = conformance({
    name: 'etcd',
    open: () => etcd({ hosts: [host] }),
    prefix: uniquePrefix,
    sessionTtl: 2000,
    expiryFactor: 1,
  });
  for (const { name, run } of cases) it.concurrent(name, run, 120_000);
});
