import { MemoryStore, memory } from 'holdfast/memory';
import { lockScenarios } from './lock-scenarios.ts';

for (const contention of ['queue', 'race'] as const) {
  const store = new MemoryStore({ contention });
  lockScenarios({
    name: `memory (${contention})`,
    backend: () => memory({ store }),
    ttl: 10_000,
    lockDelay: contention === 'race' ? 200 : 0,
  });
}
