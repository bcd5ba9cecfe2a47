import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
export const collect = runInNewContext('gc') as () => void;

/** What a process has in use. */
export interface Levels {
  readonly heapBytes: number;
  /** Open files and sockets. */
  readonly descriptors: number;
  /** Active sockets, requests and timers. */
  readonly handles: number;
  /** Of the process itself. */
  readonly listeners: number;
}

/** What is in use once garbage is gone: the least heap of several looks, since some garbage goes only in a later round. */
export async function levels(): Promise<Levels> {
  let heapBytes = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 4; look++) {
    await sleep(10);
    collect();
    heapBytes = Math.min(heapBytes, process.memoryUsage().heapUsed);
  }
  return {
    heapBytes,
    descriptors: descriptors(),
    handles: process.getActiveResourcesInfo().length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

export function descriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
