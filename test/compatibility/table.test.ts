import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TRANSFORM_LINE } from './jest-rows.ts';
import { nameOf } from './row.ts';
import { rows } from './rows.ts';
import { differences, tablesOf } from './table.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const document = await readFile(join(root, 'docs', 'compatibility.md'), 'utf8');

test('E10: the tables of docs/compatibility.md are those that `npm run check:compatibility` runs', () => {
  expect(new Set(rows.map(nameOf)).size).toBe(rows.length);
  expect([...tablesOf(rows).keys()].length).toBeGreaterThan(3);
  expect(differences(document, rows)).toEqual([]);
  expect(document).toContain(TRANSFORM_LINE);
});

test.each([
  ['another word in a cell', document.replace('| yes |', '| no |')],
  ['a line too many', document.replace(/^(\| TypeScript 7 .*)$/m, '$1\n$1')],
  ['a line that is missing', document.replace(/^\| TypeScript 7 .*\n/m, '')],
  ['a table too many', `${document}\n## Bun\n\n| | |\n| --- | --- |\n| 1 | yes |\n`],
  ['a table that is missing', document.replace('## Jest 30', '## Jest')],
])('E10: %s of the document is noticed', (_, changed) => {
  expect(changed).not.toBe(document);
  expect(differences(changed, rows).length).toBeGreaterThan(0);
});

test('E10: CI runs the rows', async () => {
  expect(await readFile(join(root, '.ci', 'run'), 'utf8')).toContain('\nnpm run check:compatibility\n');
});
