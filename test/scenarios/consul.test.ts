import { consul } from 'holdfast/consul';
import { inject } from 'vitest';
import { lockScenarios } from './lock-scenarios.ts';

lockScenarios({
  name: 'Consul',
  backend: () => consul({ addresses: [inject('consulAddress')], sessionTtlMin: 1_000 }),
  ttl: 10_000,
  lockDelay: 1_000,
});
