import type { Clock } from '../../async/clock.ts';
import type { Controllers } from '../../async/controllers.ts';
import { OVER } from '../../contract/errors.ts';

/** How long its end is waited for before it is cut off, in milliseconds. */
const SETTLE_BOUND = 1_000;

/** An attempt that is under way. It outlives the state it was made for, rather than leave behind what nobody knows the outcome of. */
export class OngoingAttempt {
  readonly #controllers: Controllers;
  readonly #controller: AbortController;
  #waiting: (() => void)[] | undefined;
  #isOver = false;

  constructor(controllers: Controllers) {
    this.#controllers = controllers;
    this.#controller = controllers.take();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Not once it has ended: its controller may serve another one by then. */
  cut(): void {
    if (!this.#isOver) this.#controller.abort(OVER);
  }

  /** Resolves when it has ended, of itself or cut off. */
  async settled(clock: Clock): Promise<void> {
    if (this.#isOver) return;
    const timer = clock.after(SETTLE_BOUND, () => this.cut());
    await new Promise<void>((resolve) => {
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    });
    timer.cancel();
  }

  end(): void {
    this.#isOver = true;
    if (!this.signal.aborted) this.#controllers.giveBack(this.#controller);
    for (const resolve of this.#waiting ?? []) resolve();
  }
}
