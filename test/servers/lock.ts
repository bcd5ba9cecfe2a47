import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const POLL = 100;
/** Between making the folder and writing the owner's id into it. */
const OWNER_WITHIN = 5_000;

/**
 * Runs the task while this process owns the folder `path`, which only one process can make. The lock of a process
 * that has died is taken over. Two may do that in the same instant, so the task must survive company; the lock saves
 * work and does not guard data.
 */
export async function withLock<T>(path: string, task: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  while (!(await tryLock(path))) {
    if (await isAbandoned(path)) await rm(path, { recursive: true, force: true });
    else await delay(POLL);
  }
  try {
    return await task();
  } finally {
    await rm(path, { recursive: true, force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  await writeFile(join(path, 'owner'), String(process.pid));
  return true;
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const owner = Number(await readFile(join(path, 'owner'), 'utf8').catch(() => ''));
    if (owner === 0) return Date.now() - (await stat(path)).mtimeMs > OWNER_WITHIN;
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
