import type { Grant } from './grant.ts';

/** By which verb a lock was asked for. */
export type AskingCall = 'acquire' | 'tryAcquire' | 'lock' | 'tryLock';

/** What a call that asks for a lock came to: a grant, `undefined` where it cannot be had now, or what it rejects with. */
export type Outcome = { readonly grant: Grant | undefined } | { readonly error: unknown };

/** Told of the calls to one manager. What it throws is reported, and harms no call. */
export interface ManagerTelemetry {
  /** Called in the caller's own turn, so that its context is the active one. What it returns is called once, at the end. */
  asking(key: string, call: AskingCall): (outcome: Outcome) => void;
  /** Runs the work of `withLock`, once. What it returns is not looked at. */
  holding(grant: Grant, work: () => Promise<unknown>): unknown;
}

/** Tells telemetry of calls, if there is any, and keeps its mistakes away from them. */
export class CallTelemetry {
  #telemetry: ManagerTelemetry | undefined;
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** @param observe gives who is to be told from now on, if there is anybody. */
  begin(observe: () => ManagerTelemetry | undefined): void {
    this.#telemetry = this.#safely(observe);
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
