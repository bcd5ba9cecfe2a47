import type { LossReason } from '../contender/lock-machine.ts';
import type { SessionState } from '../session/session-keeper.ts';

/** Everything that happens to a manager, for logs and metrics. */
export type SyncEvent =
  | { readonly type: 'session'; readonly state: SessionState }
  /** The server said, `took` milliseconds after it was asked, that the session goes on. */
  | { readonly type: 'session-renewed'; readonly id: string; readonly took: number }
  | { readonly type: 'lock-held'; readonly key: string; readonly token: bigint }
  | { readonly type: 'lock-lost'; readonly key: string; readonly token: bigint; readonly reason: LossReason }
  /** A scoped grant that is held for longer than option `longHold`. Told once. */
  | { readonly type: 'lock-held-long'; readonly key: string; readonly token: bigint; readonly ms: number }
  | { readonly type: 'lock-released'; readonly key: string; readonly token: bigint }
  /** A record that this manager's session owned went with it; `kept`: it is being put again. */
  | { readonly type: 'record-lost'; readonly key: string; readonly kept: boolean }
  /** A request to the server failed; it is being tried again. `key` of the lock that it was for; without it, it was for the session. */
  | { readonly type: 'trouble'; readonly error: unknown; readonly key?: string }
  /** A subscriber threw. It harmed nobody else. */
  | { readonly type: 'listener-failed'; readonly error: unknown };
