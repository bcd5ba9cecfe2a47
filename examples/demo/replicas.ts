import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Backend, SyncManager } from 'holdfast';
import { program } from '../../test/servers/program.ts';
import { type Report, runReplica } from './replica.ts';
import { LOCK_DELAY, type Store, type StoreName, TTL } from './stores.ts';
import { unpluggable } from './unpluggable.ts';

/** A running replica, wherever it runs. */
export interface Replica {
  readonly number: number;
  /** Disappears without a word: the process is killed, or cut off from the store. */
  vanish(): void;
  /** Ends in good order. */
  stop(): Promise<void>;
}

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
  const child = fork(program(file), [name, address, run, String(number)], { execArgv: [] });
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
