import { fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Backend, SyncError, SyncManager } from 'holdfast';
import { type Report, runReplica } from './replica.ts';
import { LOCK_DELAY, type Store, type StoreName, TTL } from './stores.ts';

/** A running replica, wherever it runs. */
export interface Replica {
  readonly number: number;
  /** Disappears without a word: the process is killed, or cut off from the store. */
  vanish(): void;
  /** Ends in good order. */
  stop(): Promise<void>;
}

/** Milliseconds after which an unplugged backend gives up a call. */
const REQUEST_TIMEOUT = 500;

const nothing = (): void => undefined;
/** What is lost is told by the demo itself. */
const QUIET = { debug: nothing, info: nothing, warn: nothing, error: nothing };

export type OnReport = (replica: number, report: Report) => void;

export function managerOf(backend: Backend, store: StoreName): SyncManager {
  const session = { ttl: TTL[store], lockDelay: LOCK_DELAY };
  return new SyncManager({ name: 'demo', backend, session, logger: QUIET });
}

export function startReplica(
  store: Store,
  name: StoreName,
  run: string,
  number: number,
  onReport: OnReport,
): Replica {
  return store.address === undefined
    ? inProcess(store, name, run, number, onReport)
    : asProcess(store.address, name, run, number, onReport);
}

function inProcess(store: Store, name: StoreName, run: string, number: number, onReport: OnReport): Replica {
  const line = unpluggable(store.connect());
  const sync = managerOf(line.backend, name);
  const stopping = new AbortController();
  const done = runReplica(sync, run, number, (report) => onReport(number, report), stopping.signal);
  return {
    number,
    vanish: () => line.unplug(),
    stop: async () => {
      stopping.abort();
      await done;
      await sync.stop();
    },
  };
}

function asProcess(
  address: string,
  name: StoreName,
  run: string,
  number: number,
  onReport: OnReport,
): Replica {
  const file = fileURLToPath(new URL('./replica-process.ts', import.meta.url));
  const child = fork(file, [name, address, run, String(number)], { execArgv: ['--import', 'tsx'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.on('message', (report) => onReport(number, report as Report));
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    number,
    vanish: () => child.kill('SIGKILL'),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** A backend whose cable can be pulled: from then on nothing is answered. */
function unpluggable(backend: Backend): { readonly backend: Backend; unplug(): void } {
  let plugged = true;
  const via = async <T>(signal: AbortSignal, call: () => Promise<T>): Promise<T> => {
    if (plugged) return await call();
    await delay(REQUEST_TIMEOUT, undefined, { signal });
    throw new SyncError('unavailable', `no answer within ${REQUEST_TIMEOUT} ms`);
  };
  return {
    unplug: () => {
      plugged = false;
    },
    backend: {
      traits: backend.traits,
      lockPath: (key) => backend.lockPath(key),
      openSession: (options, signal) => via(signal, () => backend.openSession(options, signal)),
      renewSession: (id, signal) => via(signal, () => backend.renewSession(id, signal)),
      closeSession: (id, signal) => via(signal, () => backend.closeSession(id, signal)),
      query: (scope, options) => via(options.signal, () => backend.query(scope, options)),
      commit: (commit, signal) => via(signal, () => backend.commit(commit, signal)),
      [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
    },
  };
}
