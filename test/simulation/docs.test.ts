import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

test('the example of docs/simulation.md is the system that runs', () => {
  const [, example] = /^```ts\n(.*?)^```$/ms.exec(read('docs/simulation.md')) ?? [];
  expect(example).toBe(read('test/simulation/counter/system.ts'));
});
