import type { Controllers } from '../../async/controllers.ts';
import { OVER } from '../../contract/errors.ts';

interface Cancellable {
  cancel(): void;
}

/** What is under way for the present state of a lock, and is cut off with it. */
export class StateWork {
  readonly #controllers: Controllers;
  #controller: AbortController | undefined;
  /** A timer or a watch that goes on beside it. */
  beside: Cancellable | undefined;

  constructor(controllers: Controllers) {
    this.#controllers = controllers;
  }

  /** The signal of what is begun now. Until `done` it is cut off by it. */
  begin(): AbortSignal {
    this.#controller ??= this.#controllers.take();
    return this.#controller.signal;
  }

  /** Nothing is under way any more that was given the signal. */
  done(): void {
    if (this.#controller !== undefined) this.#controllers.giveBack(this.#controller);
    this.#controller = undefined;
  }

  cut(): void {
    this.beside?.cancel();
    this.beside = undefined;
    this.#controller?.abort(OVER);
    this.#controller = undefined;
  }
}
