import { type Clock, systemClock } from '../../async/clock.ts';
import { refused, type SyncError } from '../../contract/errors.ts';
import { type Names, refuseUnknown } from '../../contract/options.ts';

export interface MemoryStoreOptions {
  /**
   * `queue` (the default) behaves like etcd: the oldest contender under a prefix holds, there is no lock-delay.
   * `race` behaves like Consul: everyone goes for one record, and a session that ends while it owns records
   * leaves their keys under its lock-delay.
   */
  readonly contention?: 'queue' | 'race';
  /** The clock of the store. All expiry goes by it. Default: the system's. */
  readonly clock?: Clock;
  /** A session ends after its TTL times this, 1 or more. Default 1; Consul takes up to 2. */
  readonly expiry?: number;
  /** The largest value, in bytes. Default 512 KiB. */
  readonly maxValueBytes?: number;
}

const DEFAULT_MAX_VALUE_BYTES = 512 * 1024;

const OPTIONS: Names<MemoryStoreOptions> = {
  contention: true,
  clock: true,
  expiry: true,
  maxValueBytes: true,
};

export function resolveStoreOptions(options: MemoryStoreOptions): Required<MemoryStoreOptions> {
  refuseUnknown(options, OPTIONS, invalid);
  const {
    contention = 'queue',
    clock = systemClock,
    expiry = 1,
    maxValueBytes = DEFAULT_MAX_VALUE_BYTES,
  } = options;
  if (contention !== 'queue' && contention !== 'race') {
    throw invalid('contention', `must be 'queue' or 'race', not ${JSON.stringify(contention)}`);
  }
  if (typeof clock?.now !== 'function' || typeof clock.after !== 'function') {
    throw invalid('clock', 'must be a Clock, with `now` and `after`');
  }
  if (!(Number.isFinite(expiry) && expiry >= 1)) {
    throw invalid('expiry', `must be a finite factor of at least 1, not ${String(expiry)}`);
  }
  if (!(Number.isSafeInteger(maxValueBytes) && maxValueBytes > 0)) {
    throw invalid(
      'maxValueBytes',
      `must be a whole number of bytes greater than 0, not ${String(maxValueBytes)}`,
    );
  }
  return { contention, clock, expiry, maxValueBytes };
}

export function invalid(option: string, problem: string): SyncError {
  return refused('invalid-option', `memory option "${option}" ${problem}`);
}
