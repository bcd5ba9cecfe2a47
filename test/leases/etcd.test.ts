import { etcd } from 'holdfast/etcd';
import { inject } from 'vitest';
import { leaseRules } from './lease-rules.ts';

leaseRules({
  name: 'etcd',
  backend: () => etcd({ hosts: inject('etcdAddress') }),
  ttl: 10_000,
  lockDelay: 0,
});
