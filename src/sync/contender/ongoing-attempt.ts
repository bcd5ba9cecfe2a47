import type { Clock } from '../../async/clock.ts';
import type { Controllers } from '../../async/controllers.ts';
import { SettleOnce } from '../../async/settle-once.ts';
import { OVER } from '../../contract/errors.ts';

/** How long its end is waited for before it is cut off, in milliseconds. */
const SETTLE_BOUND = 1_000;

/** An attempt that is under way. It outlives the state it was made for, rather than leave behind what nobody knows the outcome of. */
export class OngoingAttempt {
  readonly #controllers: Controllers;
  readonly #controller: AbortController;
  readonly #ended = new SettleOnce<void>();

  constructor(controllers: Controllers) {
    this.#controllers = controllers;
    this.#controller = controllers.take();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Not once it has ended: its controller may serve another one by then. */
  cut(): void {
    if (!this.#ended.settled) this.#controller.abort(OVER);
  }

  /** Resolves when it has ended, of itself or cut off. */
  settled(clock: Clock): Promise<void> {
    return this.#ended.after(clock, SETTLE_BOUND, () => this.cut()).promise;
  }

  end(): void {
    if (!this.#ended.resolve() || this.signal.aborted) return;
    this.#controllers.giveBack(this.#controller);
  }
}
