import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { uniqueKey, until } from '../scenarios/world.ts';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import type { Replica } from './run-once-fixture.ts';
import { addressOf } from './site.ts';
import { stores } from './stores.ts';

const fixture = fileURLToPath(new URL('./run-once-fixture.ts', import.meta.url));
const LEADS = [0, -1_000, -2_000];
const PERIOD = 4_000;
const AT_LEAST = 2_500;
const TICKS = 6;

test.concurrent.each(stores)(
  'E8: three replicas on %s, clocks 2 s apart, one killed in the midst of a tick: each tick once at most',
  async (store) => {
    const key = uniqueKey('tick');
    const runs: string[] = [];
    const finished: string[] = [];
    const skipped: string[] = [];
    let killed: string | undefined;
    const replicas = LEADS.map((lead) => {
      const settings: Replica = {
        store,
        address: addressOf(store),
        key,
        lead,
        period: PERIOD,
        atLeast: AT_LEAST,
      };
      const child = spawnChild(process.execPath, [program(fixture), JSON.stringify(settings)], {
        stdio: ['ignore', 'pipe', 2],
      });
      createInterface({ input: child.stdout ?? process.stdin }).on('line', (line) => {
        const [what, tick = ''] = line.split(' ');
        if (what === 'ran') finished.push(tick);
        if (what === 'skipped') skipped.push(tick);
        if (what !== 'runs') return;
        runs.push(tick);
        if (runs.length < 3 || killed !== undefined) return;
        killed = tick;
        child.kill('SIGKILL');
      });
      return child;
    });
    await until(() => runs.length >= TICKS, 110_000);
    for (const child of replicas) child.kill('SIGKILL');
    await Promise.all(replicas.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));

    expect(new Set(runs).size, runs.join()).toBe(runs.length);
    expect(killed).toBeDefined();
    // It had begun, and nobody began it again: neither the others at their own time, nor later.
    expect(finished).not.toContain(killed);
    expect(runs.filter((tick) => tick === killed)).toHaveLength(1);
    // The others did strike the same ticks.
    expect(runs.filter((tick) => skipped.includes(tick)).length).toBeGreaterThan(1);
    console.info(
      `${store}: ran ${runs.map((tick) => Number(tick) - Number(runs[0])).join()}; killed in ${killed}`,
    );
  },
  120_000,
);
