import type { Backend } from '../../contract/backend.ts';
import { ConsulBackend } from './backend.ts';
import { type ConsulOptions, settingsOf } from './options.ts';
import type { ConsulTls } from './tls.ts';

export type { ConsulOptions, ConsulTls };

/**
 * Locks and data in Consul's key-value store, by the npm package `consul`. Locks are those of Go's `api.Lock` and of
 * `consul lock`. Connects with the first call. Throws a `SyncError` `invalid-option` that names the option.
 */
export function consul(options: ConsulOptions = {}): Backend {
  return new ConsulBackend(settingsOf(options));
}
