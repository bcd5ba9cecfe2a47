import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { program } from '../../test/servers/program.ts';
import { managerOf } from '../demo/replicas.ts';
import type { Store, StoreName } from '../demo/stores.ts';
import { unpluggable } from '../demo/unpluggable.ts';
import { Ledger } from './ledger.ts';
import { type News, startWorker } from './worker.ts';

/** A running worker, wherever it runs. */
export interface Worker {
  readonly name: string;
  /** Disappears without a word: the process is killed, or cut off from the store. */
  vanish(): void;
  /** Ends in good order. */
  stop(): Promise<void>;
}

export interface Job {
  readonly backend: StoreName;
  readonly stream: string;
  /** Milliseconds that an event takes. */
  readonly pace: number;
  readonly file: string;
}

export type OnNews = (news: News) => void;

/** In this process on the memory store, which no other one could reach; else in one of its own. */
export function start(store: Store, name: string, job: Job, onNews: OnNews): Worker {
  const { address } = store;
  return address === undefined ? inProcess(store, name, job, onNews) : asProcess(address, name, job, onNews);
}

function inProcess(store: Store, name: string, { backend, stream, pace, file }: Job, onNews: OnNews): Worker {
  const line = unpluggable(store.connect());
  const sync = managerOf(line.backend, backend);
  const started = startWorker(sync, stream, pace, new Ledger(file), onNews);
  return {
    name,
    vanish: () => line.unplug(),
    stop: async () => {
      await started;
      await sync.stop();
    },
  };
}

function asProcess(address: string, name: string, job: Job, onNews: OnNews): Worker {
  const file = fileURLToPath(new URL('./worker-process.ts', import.meta.url));
  const { backend, stream, pace } = job;
  const child = fork(program(file), [backend, address, stream, String(pace), job.file], {
    execArgv: ['--unhandled-rejections=strict'],
  });
  const exited = once(child, 'exit');
  child.on('message', (news) => onNews(news as News));
  process.once('exit', () => child.kill('SIGKILL'));
  return {
    name,
    vanish: () => child.kill('SIGKILL'),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
