import type { Backend } from '../../contract/backend.ts';
import { type Names, refuseUnknown } from '../../contract/options.ts';
import { checkChoice, checkFunction, checkNumber, invalidOf, shown } from '../checks.ts';

/**
 * What a client calls between two steps of a call, such as the statements of a transaction, and goes on when the promise is
 * fulfilled. Whatever it has locked stays locked meanwhile.
 *
 * @param step what has been done. It is shown when a case fails there.
 */
export type ConformancePause = (step: string) => Promise<void>;

/** What a client of the subject is opened with. */
export interface ConformanceClientOptions {
  /**
   * For a backend that does one call in several steps at its server. The cases about what happens at once stop one client at
   * each of its steps in turn, and let another do its whole part there. A subject that never calls it is only raced.
   */
  readonly pause: ConformancePause;
}

/** A backend to be put to the test, with the server behind it. */
export interface ConformanceSubject {
  readonly name: string;
  /** A new client of the same store. Several are open at once; the suite disposes each. */
  open(options: ConformanceClientOptions): Backend | Promise<Backend>;
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

const OPTIONS: Names<ConformanceSubject> = {
  name: true,
  open: true,
  prefix: true,
  sessionTtl: true,
  expiryFactor: true,
  lockDelay: true,
  patience: true,
};

const invalid = invalidOf('conformance');

/** Throws a `SyncError` `invalid-option` that names what is wrong. */
export function checkSubject(subject: ConformanceSubject): void {
  refuseUnknown(subject, OPTIONS, invalid);
  const { name, lockDelay, patience } = subject;
  if (typeof name !== 'string') throw invalid('name', `must be a string, not ${shown(name)}`);
  checkFunction(invalid, 'open', subject.open);
  checkFunction(invalid, 'prefix', subject.prefix);
  checkNumber(invalid, 'sessionTtl', subject.sessionTtl, { above: 0 });
  checkChoice(invalid, 'expiryFactor', subject.expiryFactor, [1, 2]);
  if (lockDelay !== undefined) checkNumber(invalid, 'lockDelay', lockDelay, { above: 0 });
  if (patience !== undefined) checkNumber(invalid, 'patience', patience, { above: 0 });
}
