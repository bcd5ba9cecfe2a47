/** Its own types cannot be found by who imports it as a module. */
declare module 'redlock' {
  import type { Redis } from 'ioredis';

  interface Lock {
    release(): Promise<unknown>;
  }

  export default class Redlock {
    constructor(clients: readonly Redis[], settings: Readonly<Record<string, number>>);
    acquire(resources: string[], duration: number): Promise<Lock>;
  }
}
