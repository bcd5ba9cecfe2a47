import type { ContenderHost } from '../contender/contender-host.ts';
import type { Keyspace } from './keyspace.ts';

/** What the callers of one manager share. */
export interface CallersHost extends ContenderHost {
  readonly keyspace: Keyspace;
}
