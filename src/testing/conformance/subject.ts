import type { Backend } from '../../sync/backend.ts';
import type { Bench } from './bench.ts';

/** A backend to be put to the test, with the server behind it. */
export interface ConformanceSubject {
  readonly name: string;
  /** A new client of the same store. Several are open at once; the suite disposes each. */
  open(): Backend | Promise<Backend>;
  /** A prefix that no other case uses. It must end with `/`. */
  prefix(): string;
  /** The shortest TTL the server takes, in milliseconds. */
  readonly sessionTtl: number;
  /** How late the server may end a session, as a factor of its TTL. */
  readonly expiryFactor: 1 | 2;
  /** A lock-delay short enough to wait for, in milliseconds. Leave it out where the server knows none. */
  readonly lockDelay?: number;
  /** How long to wait for what must happen at once, in milliseconds, before a case fails. Default 10 s. */
  readonly patience?: number;
}

export interface ConformanceCase {
  /** The rule it holds the backend to. */
  readonly name: string;
  run(): Promise<void>;
  /** It waits for a session to expire or for a delay to pass. */
  readonly slow?: boolean;
}

export interface Rule {
  readonly name: string;
  readonly slow?: boolean;
  check(bench: Bench): Promise<void>;
}
