import { MemoryStore, memory } from 'holdfast/memory';
import { surfaceRules } from './surface-rules.ts';

for (const contention of ['queue', 'race'] as const) {
  const store = new MemoryStore({ contention });
  surfaceRules({
    name: `memory (${contention})`,
    backend: () => memory({ store }),
    ttl: 10_000,
    lockDelay: contention === 'race' ? 200 : 0,
  });
}
