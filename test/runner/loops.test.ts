import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

const files = ['test', 'bench', 'examples'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && name !== 'runner/loops.test.ts')
    .map((name) => join(folder, name)),
);

const ENDLESS = /\b(?:for \(;;\)|for \([^)]*; ![^)]*; [^)]*\)|while \()/g;
const PUTS_UP = /\bcatch\b|\.then\(\s*\([^)]*\) => [^;]*?,\s*\([^)]*\) =>/;
/** A turn of the event loop, in which the test's own time can be over; or an end with what rejects. */
const PAUSES = /\b(?:sleep|delay|pause|setTimeout)\(|'stopped'|throw error/;

/** Loops that go on after a rejection, and for which nothing but microtasks may be left then. */
function spinning(text: string): string[] {
  return [...text.matchAll(ENDLESS)]
    .map(({ index }) => text.slice(index, endOfBody(text, index)))
    .filter((loop) => PUTS_UP.test(loop) && !PAUSES.test(loop));
}

function endOfBody(text: string, from: number): number {
  let depth = 0;
  for (let at = text.indexOf('{\n', from); at >= 0 && at < text.length; at++) {
    if (text[at] === '{') depth++;
    else if (text[at] === '}' && --depth === 0) return at;
  }
  return text.length;
}

test('F1: every loop that puts up with rejections pauses, or ends with what rejects', () => {
  expect(files.length).toBeGreaterThan(150);
  const found = files.flatMap((file) =>
    spinning(readFileSync(join(root, file), 'utf8')).map((loop) => `${file}: ${loop.slice(0, 200)}`),
  );
  // The fixture is to spin.
  expect(found).toEqual([expect.stringContaining('test/runner/hanging.fixture.ts')]);
});

test.each([
  ['for (;;) {\n  await f().catch(() => undefined);\n}', 1],
  ['while (!stop.aborted) {\n  at = await next.then(\n    (result) => result.at,\n    () => at,\n  );\n}', 1],
  ['for (let n = 0; !over; n++) {\n  try {\n    await f();\n  } catch {}\n}', 1],
  ['for (;;) {\n  await f().catch(() => undefined);\n  await sleep(5);\n}', 0],
  ["for (;;) {\n  try {\n    await f();\n  } catch (e) {\n    if (is(e, 'stopped')) return;\n  }\n}", 0],
  ['for (;;) {\n  await f();\n}\ng().catch(() => {});', 0],
])('F1: of %j it finds %i', (text, count) => {
  expect(spinning(text)).toHaveLength(count);
});
