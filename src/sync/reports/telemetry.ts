import type { Observable } from 'rxjs';
import { invalid } from '../../contract/options.ts';
import type { ManagerTelemetry } from '../callers/call-telemetry.ts';
import type { SyncHealth } from './health.ts';
import type { SyncEvent } from './sync-event.ts';

/** What telemetry gets to see of a manager. */
export interface ObservedManager {
  readonly name: string;
  /** Of its backend, such as `etcd`. */
  readonly backend: string;
  /** Completes when the manager has stopped. */
  readonly events$: Observable<SyncEvent>;
  health(): SyncHealth;
}

/** What a manager tells beside its `events$`. There is one for OpenTelemetry in `holdfast/opentelemetry`. */
export interface Telemetry {
  /** Called by the constructor of each manager that has this option. */
  observe(manager: ObservedManager): ManagerTelemetry;
}

/** Throws `invalid-option` for what is no telemetry. */
export function checkTelemetry(telemetry: Telemetry | undefined): void {
  if (telemetry === undefined || typeof telemetry?.observe === 'function') return;
  const hint = "must be such as openTelemetry() from 'holdfast/opentelemetry'";
  throw invalid('telemetry', hint);
}
