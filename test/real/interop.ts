import { appendFile, readFile } from 'node:fs/promises';
import type { SyncManager } from 'holdfast';

const ROUNDS = 20;

/**
 * Two clients go for one lock at the same time, 20 times each, and write into one file when they enter and when they
 * leave. Throws if one entered while the other was inside.
 */
export async function alternate(
  sync: SyncManager,
  key: string,
  log: string,
  theirs: (script: string) => Promise<void>,
): Promise<{ ours: number; theirs: number }> {
  const script = `echo enter theirs >> '${log}'; sleep 0.01; echo leave theirs >> '${log}'`;
  const other = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) await theirs(script);
  };
  const own = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      await sync.withLock(key, async () => {
        await appendFile(log, 'enter ours\n');
        await new Promise((resolve) => setTimeout(resolve, 10));
        await appendFile(log, 'leave ours\n');
      });
      // Lets the other side in: it needs a while to start.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all([other(), own()]);

  const lines = (await readFile(log, 'utf8')).trim().split('\n');
  const visits = { ours: 0, theirs: 0 };
  for (let i = 0; i < lines.length; i += 2) {
    const who = lines[i]?.replace('enter ', '') as 'ours' | 'theirs';
    if (lines[i + 1] !== `leave ${who}`) throw new Error(`two holders: ${lines.slice(i, i + 3).join(', ')}`);
    visits[who]++;
  }
  return visits;
}
