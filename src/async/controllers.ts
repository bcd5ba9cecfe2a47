/** More than these are not kept. */
const MOST_KEPT = 1_024;

/**
 * Abort controllers to use again: making one costs Node more than everything else of a short lock's signals together (bench row
 * `cycle`; decision 19).
 * Whoever gives one back has awaited all that was given its signal; a backend leaves no listener on it then.
 */
export class Controllers {
  readonly #idle: AbortController[] = [];

  take(): AbortController {
    return this.#idle.pop() ?? new AbortController();
  }

  /** Not one that has aborted. */
  giveBack(controller: AbortController): void {
    if (this.#idle.length < MOST_KEPT) this.#idle.push(controller);
  }
}
