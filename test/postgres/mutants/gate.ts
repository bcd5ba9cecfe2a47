import type { ConformancePause } from 'holdfast/testing';

/** Stops the next transaction of a kind, of one client, before its COMMIT. */
export class Gate {
  #kept: string | undefined;
  #reach = (): void => {};
  #open = (): void => {};

  readonly pause: ConformancePause = (step) => {
    if (this.#kept === undefined || !step.startsWith('before COMMIT') || !step.includes(this.#kept))
      return Promise.resolve();
    this.#kept = undefined;
    const opened = new Promise<void>((resolve) => {
      this.#open = resolve;
    });
    this.#reach();
    return opened;
  };

  /** Resolves once somebody stands before it. @param name of the function that it calls. */
  close(name: string): Promise<void> {
    this.#kept = `.${name}_1(`;
    return new Promise((resolve) => {
      this.#reach = resolve;
    });
  }

  open(): void {
    this.#kept = undefined;
    this.#open();
  }
}
