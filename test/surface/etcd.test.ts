import { etcd } from 'holdfast/etcd';
import { inject } from 'vitest';
import { surfaceRules } from './surface-rules.ts';

surfaceRules({
  name: 'etcd',
  backend: () => etcd({ hosts: inject('etcdAddress') }),
  ttl: 10_000,
  lockDelay: 0,
});
