import { expect, test } from 'vitest';
import { keys } from '../soak/keys.ts';

// `npm run test:soak -- keys` has 1,000,000.
const MANY = 50_000;

test.each(['standing', 'scoped'] as const)(
  'D1: of distinct keys that were locked and released nothing stays (%s)',
  async (use) => {
    const { done, figures } = await keys(use, { count: MANY });
    console.info(`D1: ${figures}`);
    expect(done).toBe(MANY);
  },
  180_000,
);
