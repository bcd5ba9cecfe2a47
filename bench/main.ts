import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import { startConsul } from '../test/servers/consul.ts';
import { startEtcd } from '../test/servers/etcd.ts';
import { startRedis } from '../test/servers/redis.ts';
import type { Line, Row, RowReport, Servers } from './row.ts';
import { rows } from './rows.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0)
    throw new InvalidArgumentError('must be a whole number above 0');
  return value;
};

const program = new Command('npm run bench --')
  .description('Measures holdfast beside a floor and its peers, on real servers of its own.')
  .argument('[rows...]', 'which: names or their beginnings, such as "cycle" or "keys-etcd"; all without')
  .option('--blocks <n>', 'paired blocks of each row', count, 30)
  .option('--json <file>', 'where the figures go', 'bench-results.json')
  .option('--list', 'tells the rows, and measures nothing')
  .parse();
const options = program.opts<{ blocks: number; json: string; list?: true }>();
const chosen = choose(program.args);
if (options.list) for (const row of chosen) console.log(`${row.name.padEnd(20)}${row.what}`);
else await measure();

function choose(names: readonly string[]): readonly Row[] {
  for (const name of names) {
    if (!rows.some((row) => row.name.startsWith(name)))
      program.error(`error: there is no row "${name}"; see --list`);
  }
  return names.length === 0 ? rows : rows.filter((row) => names.some((name) => row.name.startsWith(name)));
}

async function measure(): Promise<void> {
  await using etcd = await startEtcd();
  await using consul = await startConsul({ sessionTtlMin: '1s', limits: { httpMaxConnsPerClient: 8_000 } });
  await using redis = await startRedis().catch((error: unknown) => {
    console.error(`Without Redis, as there is none to be had: ${String(error)}`);
    return undefined;
  });
  const servers: Servers = { etcd, consul, redisPort: redis?.port };
  const reports: (RowReport & { readonly row: string })[] = [];
  for (const row of chosen) reports.push({ row: row.name, ...(await measureRow(row, servers)) });
  const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
  await writeFile(options.json, JSON.stringify({ at: new Date(), machine, options, reports }, undefined, 2));
  console.log(table(reports));
  console.log(`All figures: ${options.json}`);
}

async function measureRow(row: Row, servers: Servers): Promise<RowReport> {
  const begun = performance.now();
  let toldAt = 0;
  console.log(`${row.name}: ${row.what}`);
  const onProgress = (what: string): void => {
    if (performance.now() - toldAt < 2_000) return;
    toldAt = performance.now();
    console.log(`  ${((toldAt - begun) / 1_000).toFixed(0)} s: ${what}`);
  };
  try {
    return await row.run(servers, { blocks: options.blocks, onProgress });
  } catch (error) {
    // The others are worth their figures nevertheless.
    console.error(error);
    process.exitCode = 1;
    return { lines: [{ what: row.what, figure: `FAILED: ${String(error)}` }], raw: String(error) };
  }
}

function table(reports: readonly { readonly row: string; readonly lines: readonly Line[] }[]): string {
  const result = new Table({
    head: ['row', 'what', 'figure', 'ratio', 'goal', ''],
    style: { head: [], border: [] },
  });
  for (const { row, lines } of reports) {
    for (const { what, figure, ratio = '', goal = '', met } of lines) {
      result.push([row, what, figure, ratio, goal, met === undefined ? '' : met ? 'met' : 'MISSED']);
    }
  }
  return result.toString();
}
