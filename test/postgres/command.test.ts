import { fileURLToPath } from 'node:url';
import { installSql } from 'holdfast/postgres';
import { expect, test } from 'vitest';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';

const bin = fileURLToPath(new URL('../../src/backends/postgres/bin.ts', import.meta.url));

const command = (...args: string[]) => run(process.execPath, [program(bin), ...args]);

test('holdfast-postgres prints what install runs', async () => {
  expect(await command('sql')).toEqual({ code: 0, stdout: `${installSql()}\n`, stderr: '' });
  const options = { schema: 'locks', role: 'app' };
  const told = await command('sql', '--schema', 'locks', '--role=app');
  expect(told).toEqual({ code: 0, stdout: `${installSql(options)}\n`, stderr: '' });
  expect(told.stdout).toMatch(/GRANT EXECUTE ON FUNCTION "locks"\.hello_1, .* TO "app"/);
});

test.each([
  [[], /^Usage:/],
  [['sq'], /^Usage:/],
  [['sql', '--rol', 'app'], /Unknown option '--rol'[\s\S]*\nUsage:/],
  [['sql', '--schema', 'a$'], /^postgres option "schema" must be a name[\s\S]*\nUsage:/],
])('to %j it says how it is used, and prints no SQL', async (args, message) => {
  expect(await command(...args)).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
});

test('it helps', async () => {
  expect(await command('--help')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Usage:/),
    stderr: '',
  });
});
