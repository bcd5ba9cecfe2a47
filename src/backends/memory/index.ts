import type { Backend } from '../../contract/backend.ts';
import { backendOf } from '../kit/backend.ts';
import { MemoryDriver } from './driver.ts';
import { invalid, type MemoryStoreOptions } from './options.ts';
import { isMemoryStore, MemoryStore } from './store.ts';

export type { MemoryStoreOptions };
export { MemoryStore };

export interface MemoryOptions extends MemoryStoreOptions {
  /** The store to attach to, which then has all the other options. Default: a new one. */
  readonly store?: MemoryStore;
}

/**
 * A coordination service inside this process: for tests, for development, and for a service that runs once.
 *
 * Backends of one store see each other as processes do. Nothing outlives the process, fencing tokens included.
 * Throws a `SyncError` `invalid-option` that names the option.
 */
export function memory(options: MemoryOptions = {}): Backend {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'must be an object');
  const { store, ...own } = options;
  if (store === undefined) return backendOf(new MemoryDriver(new MemoryStore(own)));
  if (!isMemoryStore(store)) throw invalid('store', 'must be a MemoryStore');
  const [misplaced] = Object.entries(own).filter(([, value]) => value !== undefined);
  if (misplaced !== undefined) {
    throw invalid(misplaced[0], 'must be given to the MemoryStore and not beside "store"');
  }
  return backendOf(new MemoryDriver(store));
}
