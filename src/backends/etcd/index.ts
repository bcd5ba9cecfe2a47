import type { Backend } from '../../contract/backend.ts';
import { backendOf } from '../kit/backend.ts';
import { EtcdDriver } from './driver.ts';
import { type EtcdOptions, resolveOptions } from './options.ts';

export type { EtcdOptions, EtcdTls } from './options.ts';

/**
 * etcd 3.4 and later. A session is a lease; a lock's contenders lie as Go's `concurrency` package and `etcdctl lock`
 * lay theirs, so that all of them stand in one queue.
 *
 * Throws a `SyncError` `invalid-option` that names the option. Connects with the first call.
 */
export function etcd(options: EtcdOptions = {}): Backend {
  return backendOf(new EtcdDriver(resolveOptions(options)));
}
