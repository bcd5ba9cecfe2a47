import { isSyncError, refused } from '../../contract/errors.ts';

/** A value, or where it is to be had at any time: secrets are rotated while a service runs. */
export type Provided<T> = T | (() => T | Promise<T>);

/** What a server wants to know of us, as it is at present. */
export class Present<T> {
  readonly #provided: Provided<T>;
  readonly #check: (value: T) => void;
  readonly #name: string;
  #asking: Promise<T> | undefined;
  #known: { readonly value: T } | undefined;

  /**
   * @param check throws for what cannot be used; with a value it is looked at when the options are, with a function each time, and
   * the error must not repeat it.
   * @param name of the option, for the error of a function that fails.
   */
  constructor(provided: Provided<T>, check: (value: T) => void, name = 'credentials') {
    this.#provided = provided;
    this.#check = check;
    this.#name = name;
    if (typeof provided === 'function') return;
    check(provided);
    this.#known = { value: provided };
  }

  /** Whether it may be another one each time. */
  get changes(): boolean {
    return typeof this.#provided === 'function';
  }

  /** At once, where there is nothing to wait for. */
  get known(): T | undefined {
    return this.#known?.value;
  }

  /** What is known, or else what the function gives, which is asked once for all who wait. Rejects with a `SyncError`. */
  async get(): Promise<T> {
    if (this.#known !== undefined) return this.#known.value;
    // Also a function that throws at once does so only after this.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return await this.#asking;
  }

  /** To be asked for anew: at each connection, and each login. Without a function it stays as it is. */
  forget(): void {
    if (this.changes) this.#known = undefined;
  }

  /**
   * The server refused this one. Resolves with whether there is another one by now; only the first of many that come back at once
   * throws it away.
   */
  async refused(used: T): Promise<boolean> {
    if (this.#known?.value === used) this.forget();
    return (await this.get()) !== used;
  }

  async #ask(): Promise<T> {
    try {
      const value = await (this.#provided as () => T | Promise<T>)();
      this.#check(value);
      this.#known = { value };
      return value;
    } catch (error) {
      if (isSyncError(error)) throw error;
      // What it says is not repeated: it was made where secrets are kept.
      throw refused('unavailable', `the function given for "${this.#name}" failed`);
    }
  }
}
