import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { clearUp, spawnChild, temporaryFolder } from './child.ts';
import { isRunning } from './running.ts';

test('who goes on with something else leaves no process and no folder, and can have others', async () => {
  for (const name of ['one', 'other']) {
    const folder = temporaryFolder(name);
    writeFileSync(join(folder, 'file'), '');
    const child = spawnChild(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1_000)']);
    await once(child.stdout ?? child, 'data');
    await clearUp();
    expect(isRunning(child.pid ?? 0)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  }
});
