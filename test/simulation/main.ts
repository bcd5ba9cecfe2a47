import { Command, InvalidArgumentError, Option } from 'commander';
import { loadLibrary, loadMutant } from './mutation/copy.ts';
import { describeOutcome } from './outcome.ts';
import { firstCatch, simulate } from './simulate.ts';
import type { System } from './system.ts';
import { systems } from './systems.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('must be a whole number from 1 on');
  return value;
};

const names = systems.map(({ name }) => name);
const program = new Command('npm run test:simulation --')
  .description('Runs the library on virtual time, with faults that follow from a seed.')
  .addOption(new Option('--workload <name>', 'what to run on it').choices(names).default(names[0]))
  .option('--seeds <n>', 'how many to run', count, 2_000)
  .option('--from <n>', 'the first one', count, 1)
  .option('--replay <seed>', 'runs one seed, and tells what happens step by step', count)
  .option('--mutants', 'runs the known mistakes instead: each must be caught')
  .parse();
const { workload, seeds, from, ...options } = program.opts<{
  workload: string;
  seeds: number;
  from: number;
  replay?: number;
  mutants?: true;
}>();
const system = systems.find(({ name }) => name === workload) as System;

const good = options.mutants
  ? await catchMutants()
  : await (options.replay ? replay(options.replay) : runAll());
process.exit(good ? 0 : 1);

async function replay(seed: number): Promise<boolean> {
  const outcome = await simulate(system, await loadLibrary(system), seed, true);
  for (const line of outcome.trace) console.log(line);
  if (outcome.violations.length > 0) console.log(describeOutcome(system, outcome));
  return outcome.violations.length === 0;
}

async function runAll(): Promise<boolean> {
  const library = await loadLibrary(system);
  const start = performance.now();
  let failed = 0;
  let turns = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const outcome = await simulate(system, library, seed);
    turns += outcome.turns;
    if (outcome.violations.length > 0) {
      failed++;
      console.log(describeOutcome(system, outcome));
    }
    const done = seed - from + 1;
    if (done % Math.max(1, Math.floor(seeds / 20)) === 0) {
      const seconds = (performance.now() - start) / 1_000;
      console.log(`${done} of ${seeds} seeds, ${seconds.toFixed(0)} s, ${failed} failed, ${turns} turns`);
    }
  }
  return failed === 0;
}

async function catchMutants(): Promise<boolean> {
  let good = true;
  console.log('| mistake | first seed that catches it | rule |\n| --- | --- | --- |');
  for (const [name, patches] of Object.entries(system.mutants)) {
    const caught = await firstCatch(system, await loadMutant(system, patches), seeds, from);
    good &&= caught !== undefined;
    console.log(`| ${name} | ${caught?.seed ?? 'none'} | ${caught?.violations[0]?.rule ?? 'SURVIVED'} |`);
  }
  return good;
}
