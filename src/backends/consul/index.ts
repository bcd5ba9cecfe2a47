import type { Backend } from '../../contract/backend.ts';
import { backendOf } from '../kit/backend.ts';
import { ConsulDriver } from './driver.ts';
import { type ConsulOptions, type ConsulTls, settingsOf } from './options.ts';

export type { ConsulOptions, ConsulTls };

/**
 * Locks and data in Consul's key-value store, by the npm package `consul`. Locks are those of Go's `api.Lock` and of
 * `consul lock`. Connects with the first call. Throws a `SyncError` `invalid-option` that names the option.
 */
export function consul(options: ConsulOptions = {}): Backend {
  return backendOf(new ConsulDriver(settingsOf(options)));
}
