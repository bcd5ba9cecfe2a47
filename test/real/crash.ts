import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import type { Store } from './stores.ts';

const fixture = fileURLToPath(new URL('./crash-fixture.ts', import.meta.url));

export interface Doomed extends Disposable {
  /** Of the lock it holds. */
  readonly token: bigint;
  /** SIGKILL. Resolves to the instant at which it was sent. */
  crash(): number;
}

/** A process of its own that holds a lock. */
export async function holdInChild(
  store: Store,
  address: string,
  key: string,
  { ttl, lockDelay }: { readonly ttl: number; readonly lockDelay: number },
): Promise<Doomed> {
  const args = [program(fixture), store, address, key, String(ttl), String(lockDelay)];
  const child: ChildProcess = spawnChild(process.execPath, args, { stdio: ['ignore', 'pipe', 2] });
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer];
  return {
    token: BigInt(line.toString().trim()),
    crash: () => {
      child.kill('SIGKILL');
      return performance.now();
    },
    [Symbol.dispose]: () => child.kill('SIGKILL'),
  };
}
