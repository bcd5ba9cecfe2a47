/** How the fixture is to keep a run from ending by itself, or to end it. */
export type Way = 'spins' | 'waits' | 'fails' | 'dies';

/** What will have to be gone. */
export interface Traces {
  /** Vitest, its worker, and a process that this file started. */
  readonly pids: readonly (number | undefined)[];
  readonly etcd: string;
}
