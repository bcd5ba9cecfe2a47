import { Command, InvalidArgumentError } from 'commander';
import { type Row, rows } from './rows.ts';

const positive = (text: string): number => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('must be a number above 0');
  return value;
};
const count = (text: string): number => {
  const value = positive(text);
  if (!Number.isInteger(value)) throw new InvalidArgumentError('must be a whole number');
  return value;
};

const program = new Command('npm run test:soak --')
  .description('Repeats what must hold, on memory and on real servers of its own, for as long as you like.')
  .argument('[rows...]', 'which: names or their beginnings, such as "cycles" or "stop-etcd"; all without')
  .option('--count <n>', 'how often, instead of the number of each row', count)
  .option('--minutes <n>', 'for how long at most, shared out among the rows', positive)
  .option('--from <seed>', 'the first seed of the random schedules', count, 1)
  .option('--list', 'tells the rows, and runs nothing')
  .parse();
const options = program.opts<{ count?: number; minutes?: number; from: number; list?: true }>();

interface Outcome {
  readonly row: Row;
  readonly good: boolean;
  readonly done: number;
  readonly seconds: number;
  readonly figures: string;
}

/** Milliseconds from one line of progress to the next. */
const PROGRESS_INTERVAL = 5_000;

const chosen = choose(program.args);
const outcomes: Outcome[] = [];
if (options.list) for (const row of chosen) console.log(`${row.name.padEnd(28)}${row.count} ${row.what}`);
else await runAll();
process.exit(outcomes.every(({ good }) => good) ? 0 : 1);

function choose(names: readonly string[]): readonly Row[] {
  for (const name of names) {
    if (!rows.some((row) => row.name.startsWith(name)))
      program.error(`error: there is no row "${name}"; see --list`);
  }
  return names.length === 0 ? rows : rows.filter((row) => names.some((name) => row.name.startsWith(name)));
}

async function runAll(): Promise<void> {
  const end = options.minutes === undefined ? undefined : performance.now() + options.minutes * 60_000;
  for (const [index, row] of chosen.entries()) {
    // What a row leaves of its share goes to those after it.
    const now = performance.now();
    const deadline = end === undefined ? undefined : now + (end - now) / (chosen.length - index);
    outcomes.push(await runRow(row, deadline));
  }
  console.log(table(outcomes));
}

async function runRow(row: Row, deadline: number | undefined): Promise<Outcome> {
  const begun = performance.now();
  const total = options.count ?? row.count;
  const seconds = (): number => (performance.now() - begun) / 1_000;
  let [done, toldAt] = [0, begun];
  const onProgress = (now: number): void => {
    done = now;
    if (performance.now() - toldAt < PROGRESS_INTERVAL) return;
    toldAt = performance.now();
    console.log(`${row.name}: ${done} of ${total}, ${seconds().toFixed(0)} s`);
  };
  console.log(`${row.name}: ${total} ${row.what}`);
  try {
    const wanted = { count: total, from: options.from, onProgress };
    const result = await row.run(deadline === undefined ? wanted : { ...wanted, deadline });
    return { row, good: true, done: result.done, seconds: seconds(), figures: result.figures };
  } catch (error) {
    console.error(error);
    const [figures = ''] = String(error).split('\n');
    return { row, good: false, done, seconds: seconds(), figures };
  }
}

function table(results: readonly Outcome[]): string {
  const lines = results.map(({ row, good, done, seconds, figures }) =>
    [
      row.name.padEnd(28),
      good ? 'good  ' : 'FAILED',
      String(done).padStart(9),
      `${seconds.toFixed(0)} s`.padStart(7),
      figures,
    ].join('  '),
  );
  const head = ['row'.padEnd(28), '      ', 'done'.padStart(9), 'time'.padStart(7), 'figures'].join('  ');
  return ['', head, ...lines].join('\n');
}
