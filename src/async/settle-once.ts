import type { Clock } from './clock.ts';
import { onAbort } from './signal-listeners.ts';

/**
 * What somebody waits for. Settled once, by whatever comes first: an answer, the waiting one's signal, or time; and then nothing is
 * left of it, neither listener nor timer.
 */
export class SettleOnce<T> {
  readonly promise: Promise<T>;
  #resolve: ((value: T | PromiseLike<T>) => void) | undefined;
  #reject: ((reason: unknown) => void) | undefined;
  #undo: (() => void) | undefined;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get settled(): boolean {
    return this.#reject === undefined;
  }

  /** `false` if it was settled before. */
  resolve(value: T | PromiseLike<T>): boolean {
    const resolve = this.#resolve;
    if (resolve === undefined) return false;
    this.#end();
    resolve(value);
    return true;
  }

  /** `false` if it was settled before. */
  reject(reason: unknown): boolean {
    const reject = this.#reject;
    if (reject === undefined) return false;
    this.#end();
    reject(reason);
    return true;
  }

  /** Runs once, however it is settled, and before anybody is told: at once, if it is settled already. */
  finally(undo: () => void): this {
    const before = this.#undo;
    if (this.settled) undo();
    else if (before === undefined) this.#undo = undo;
    else {
      this.#undo = () => {
        before();
        undo();
      };
    }
    return this;
  }

  /** From now on the signal ends it, with its reason; at once, if it has aborted. */
  follow(signal: AbortSignal | undefined): this {
    if (signal === undefined || this.settled) return this;
    if (signal.aborted) this.reject(signal.reason);
    else this.finally(onAbort(signal, () => this.reject(signal.reason)));
    return this;
  }

  /** Runs `late` after so many milliseconds, unless it is settled before: to settle it, most often. */
  after(clock: Pick<Clock, 'after'>, ms: number, late: () => void): this {
    if (this.settled) return this;
    const timer = clock.after(ms, late);
    return this.finally(() => timer.cancel());
  }

  #end(): void {
    this.#resolve = undefined;
    this.#reject = undefined;
    const undo = this.#undo;
    this.#undo = undefined;
    undo?.();
  }
}
