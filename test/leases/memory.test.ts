import { MemoryStore, memory } from 'holdfast/memory';
import { leaseRules } from './lease-rules.ts';

for (const contention of ['queue', 'race'] as const) {
  const store = new MemoryStore({ contention });
  leaseRules({
    name: `memory (${contention})`,
    backend: () => memory({ store }),
    ttl: 10_000,
    lockDelay: contention === 'race' ? 200 : 0,
  });
}
