import { etcd } from 'holdfast/etcd';
import { inject } from 'vitest';
import { lockScenarios } from './lock-scenarios.ts';

lockScenarios({
  name: 'etcd',
  backend: () => etcd({ hosts: inject('etcdAddress') }),
  ttl: 10_000,
  lockDelay: 0,
});
