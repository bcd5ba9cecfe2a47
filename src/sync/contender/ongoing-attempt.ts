import { OVER } from '../../contract/errors.ts';

/** An attempt that is under way: somebody may wait for its end, or cut it off. */
export class OngoingAttempt {
  readonly #controller: AbortController;
  #waiting: (() => void)[] | undefined;
  #over = false;
  #cut = false;

  constructor(controller: AbortController) {
    this.#controller = controller;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Not once it has ended: its controller may serve another one by then. */
  cut(): void {
    if (this.#over) return;
    this.#cut = true;
    this.#controller.abort(OVER);
  }

  get wasCut(): boolean {
    return this.#cut;
  }

  /** Resolves with `end`. Made only when it is asked for, since most attempts end before anybody does. */
  get ended(): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    });
  }

  end(): void {
    this.#over = true;
    for (const resolve of this.#waiting ?? []) resolve();
  }
}
