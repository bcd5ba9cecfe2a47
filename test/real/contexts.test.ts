import { fileURLToPath } from 'node:url';
import { expect, inject, test } from 'vitest';
import { program } from '../servers/program.ts';
import { run } from '../servers/run.ts';
import type { StoreName } from '../soak/stores.ts';

const fixture = fileURLToPath(new URL('./context-fixture.ts', import.meta.url));
const names: readonly StoreName[] = ['memory', 'etcd', 'consul', 'postgres'];

test.each(names)(
  "D1: nothing on %s keeps a caller's asynchronous context once its request is over",
  async (store) => {
    const address = store === 'memory' ? '' : inject(`${store}Address`);
    const args = ['--unhandled-rejections=strict', program(fixture), store, address];
    const { code, stdout, stderr } = await run(process.execPath, args, { timeout: 90_000 });
    expect([code, stderr]).toEqual([0, '']);
    const { cases, kept, pinned } = JSON.parse(stdout) as { cases: number; kept: number; pinned: string[] };
    expect(kept).toBe(cases);
    expect(pinned).toEqual([]);
  },
  120_000,
);
