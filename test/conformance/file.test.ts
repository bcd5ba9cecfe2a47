import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SyncManager } from 'holdfast';
import { type ConformanceSubject, conformance } from 'holdfast/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { file } from '../../examples/file-backend/index.ts';
import { uniquePrefix } from './unique-prefix.ts';

/** Milliseconds. Long enough that a busy machine renews in time. */
const TTL = 1_000;

const folder = await mkdtemp(join(tmpdir(), 'holdfast-file-'));

const subject = (path: string): ConformanceSubject => ({
  name: 'file',
  open: () => file({ path }),
  prefix: uniquePrefix,
  sessionTtl: TTL,
  expiryFactor: 1,
});

describe('the example of docs/backend.md: a store in one file', () => {
  // Each has a file of its own: in one, all of them would wait for one another.
  for (const [number, { name }] of conformance(subject('')).entries()) {
    const path = join(folder, `${number}.json`);
    it.concurrent(name, async () => await conformance(subject(path))[number]?.run(), 120_000);
  }

  it('two managers exclude one another, and hand on', async () => {
    const path = join(folder, 'managers.json');
    const [one, two] = [1, 2].map(() => new SyncManager({ name: 'svc', backend: () => file({ path }) }));
    await using first = one as SyncManager;
    await using second = two as SyncManager;
    const held = await first.acquire('orders/42');
    expect(await second.tryAcquire('orders/42')).toBeUndefined();
    const next = second.acquire('orders/42');
    await held.release();
    await using grant = await next;
    expect(grant.token).toBeGreaterThan(held.token);
  });

  afterAll(async () => {
    const files = await readdir(folder);
    // Neither drafts nor lock files.
    expect(files.filter((name) => !name.endsWith('.json'))).toEqual([]);
    for (const name of files) {
      const { sessions, rows } = JSON.parse(await readFile(join(folder, name), 'utf8'));
      expect({ name, sessions, rows }).toEqual({ name, sessions: [], rows: [] });
    }
    await rm(folder, { recursive: true });
  });
});
