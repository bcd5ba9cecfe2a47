import type { ConformancePause } from 'holdfast/testing';

/** Stops the next transaction of a client before its COMMIT. */
export class Gate {
  #closed = false;
  #reach = (): void => {};
  #open = (): void => {};

  readonly pause: ConformancePause = (step) => {
    if (!this.#closed || step !== 'before COMMIT') return Promise.resolve();
    this.#closed = false;
    const opened = new Promise<void>((resolve) => {
      this.#open = resolve;
    });
    this.#reach();
    return opened;
  };

  /** Resolves once somebody stands before it. */
  close(): Promise<void> {
    this.#closed = true;
    return new Promise((resolve) => {
      this.#reach = resolve;
    });
  }

  open(): void {
    this.#closed = false;
    this.#open();
  }
}
