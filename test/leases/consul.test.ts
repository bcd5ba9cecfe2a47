import { consul } from 'holdfast/consul';
import { inject } from 'vitest';
import { leaseRules } from './lease-rules.ts';

leaseRules({
  name: 'Consul',
  backend: () => consul({ addresses: [inject('consulAddress')], sessionTtlMin: 1_000 }),
  ttl: 10_000,
  lockDelay: 1_000,
});
