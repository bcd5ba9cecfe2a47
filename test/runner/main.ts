// `npm test`: Vitest, with bounds from outside. What follows `--` is Vitest's.
import { DEFAULT_BOUNDS } from './progress.ts';
import { runVitest } from './run.ts';

process.exitCode = await runVitest(process.argv.slice(2), {
  file: bound('HOLDFAST_TEST_FILE_WITHIN', DEFAULT_BOUNDS.file),
  run: bound('HOLDFAST_TEST_RUN_WITHIN', DEFAULT_BOUNDS.run),
});

/** Milliseconds, from the environment. */
function bound(variable: string, otherwise: number): number {
  const text = process.env[variable];
  if (text === undefined) return otherwise;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`${variable} must be milliseconds above 0, not ${JSON.stringify(text)}.`);
}
