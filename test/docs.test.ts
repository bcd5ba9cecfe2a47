import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

/** What stands between the first of these and the next. */
function part(text: string, from: string, to: string): string {
  const begin = text.indexOf(from);
  return text.slice(begin, text.indexOf(to, begin));
}

const quoted = (text: string): string[] =>
  [...text.matchAll(/'([a-z-]+)'/g)].map(([, name]) => name as string);

test('the table of error codes is complete', () => {
  const codes = quoted(part(read('src/contract/errors.ts'), 'export type SyncErrorCode =', ';'));
  expect(codes.length).toBeGreaterThan(15);
  const table = part(read('docs/concepts.md'), '| code |', '\n\n');
  const told = table.split('\n').flatMap((row) => {
    const [, names = ''] = row.split('|');
    return [...names.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
  });
  expect(told.toSorted()).toEqual(codes.toSorted());
});

test('the table of reasons for a loss is complete', () => {
  const reasons = new Set([
    ...quoted(part(read('src/sync/session/session.ts'), 'export type SessionEnd', ';')),
    ...quoted(part(read('src/sync/contender/strategy.ts'), 'export type RecordLoss', ';')),
    ...quoted(part(read('src/sync/contender/lock-machine.ts'), 'export type LossReason', ';')),
  ]);
  expect(reasons.size).toBeGreaterThan(6);
  const table = part(read('docs/concepts.md'), '| reason |', '\n\n');
  for (const reason of reasons) expect(table).toContain(`| \`${reason}\` |`);
});
