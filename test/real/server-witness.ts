import type { Backend } from 'holdfast';
import { live, uniqueKey } from '../scenarios/world.ts';

/** Milliseconds between its writes. */
const PAUSE = 50;

/**
 * Writes to a server over and over, reached directly, while other tests keep that server busy as well. What is to be over
 * within a second may take as much longer as the server itself was slow.
 */
export class ServerWitness implements AsyncDisposable {
  readonly #operator: Backend;
  readonly #key = uniqueKey('witness');
  readonly #ended: Promise<void>;
  #stopping = false;
  #since: number | undefined;
  #worst = 0;

  constructor(operator: Backend) {
    this.#operator = operator;
    this.#ended = this.#write();
  }

  /** Milliseconds: the longest that one write has taken so far, also one that has not ended yet. */
  get slowestWrite(): number {
    const now = performance.now();
    return Math.max(this.#worst, now - (this.#since ?? now));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#ended;
    await this.#operator.commit({ when: [], then: [{ remove: this.#key }] }, live);
  }

  async #write(): Promise<void> {
    for (let count = 0; !this.#stopping; count++) {
      this.#since = performance.now();
      const value = new Uint8Array([count]);
      await this.#operator.commit({ when: [], then: [{ put: this.#key, value }] }, live);
      this.#worst = this.slowestWrite;
      this.#since = undefined;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}
