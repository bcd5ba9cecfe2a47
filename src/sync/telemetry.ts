import type { Observable } from 'rxjs';
import { SyncError } from './backend.ts';
import type { SyncEvent } from './events.ts';
import type { Grant } from './grant.ts';
import type { SyncHealth } from './health.ts';

/** By which verb a lock was asked for. */
export type AskingCall = 'acquire' | 'tryAcquire' | 'lock' | 'tryLock';

/** What a call that asks for a lock came to: a grant, `undefined` where it cannot be had now, or what it rejects with. */
export type Outcome = { readonly grant: Grant | undefined } | { readonly error: unknown };

/** What telemetry gets to see of a manager. */
export interface ObservedManager {
  readonly name: string;
  /** Of its backend, such as `etcd`. */
  readonly backend: string;
  /** Completes when the manager has stopped. */
  readonly events$: Observable<SyncEvent>;
  health(): SyncHealth;
}

/** Told of the calls to one manager. What it throws is reported, and harms no call. */
export interface ManagerTelemetry {
  /** Called in the caller's own turn, so that its context is the active one. What it returns is called once, at the end. */
  asking(key: string, call: AskingCall): (outcome: Outcome) => void;
  /** Runs the work of `withLock`, once. What it returns is not looked at. */
  holding(grant: Grant, work: () => Promise<unknown>): unknown;
}

/** What a manager tells beside its `events$`. There is one for OpenTelemetry in `holdfast/opentelemetry`. */
export interface Telemetry {
  /** Called by the constructor of each manager that has this option. */
  observe(manager: ObservedManager): ManagerTelemetry;
}

/** Tells telemetry of calls, if there is any, and keeps its mistakes away from them. */
export class Teller {
  readonly #telemetry: ManagerTelemetry | undefined;
  readonly #report: (error: unknown) => void;

  constructor(telemetry: Telemetry | undefined, manager: ObservedManager, report: (error: unknown) => void) {
    this.#report = report;
    this.#telemetry = this.#safely(() => telemetry?.observe(manager));
  }

  /** A call that was checked already. Gives what `ask` gives. */
  asking<A extends Promise<Grant | undefined> | Grant | undefined>(
    key: string,
    call: AskingCall,
    ask: () => A,
  ): A | Promise<Grant | undefined> {
    return this.#telemetry === undefined ? ask() : this.#told(this.#telemetry, key, call, ask);
  }

  async #told(
    telemetry: ManagerTelemetry,
    key: string,
    call: AskingCall,
    ask: () => Promise<Grant | undefined> | Grant | undefined,
  ): Promise<Grant | undefined> {
    const told = this.#safely(() => telemetry.asking(key, call));
    const tell = (outcome: Outcome): void => this.#safely(() => told?.(outcome));
    try {
      const grant = await ask();
      tell({ grant });
      return grant;
    } catch (error) {
      tell({ error });
      throw error;
    }
  }

  holding<T>(grant: Grant, work: () => Promise<T> | T): Promise<T> | T {
    const telemetry = this.#telemetry;
    if (telemetry === undefined) return work();
    let done: Promise<T> | undefined;
    const once = (): Promise<T> => {
      done ??= (async () => work())();
      return done;
    };
    const returned = this.#safely(() => telemetry.holding(grant, once));
    // Made of the work's own promise, it rejects as that does; who awaits the work is told.
    Promise.resolve(returned).catch(() => undefined);
    return once();
  }

  #safely<T>(tell: () => T): T | undefined {
    try {
      return tell();
    } catch (error) {
      this.#report(error);
      return undefined;
    }
  }
}

/** Throws `invalid-option` for what is no telemetry. */
export function checkTelemetry(telemetry: Telemetry | undefined): void {
  if (telemetry === undefined || typeof telemetry?.observe === 'function') return;
  const hint = "must be such as openTelemetry() from 'holdfast/opentelemetry'";
  throw new SyncError('invalid-option', `option "telemetry" ${hint}`);
}
