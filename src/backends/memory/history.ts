import type { Revision } from '../../contract/backend.ts';
import type { Change } from './interest.ts';

/** How many changes are remembered at least. Who asks for older ones is woken for nothing. */
const REMEMBERED = 4096;

/** The latest changes, so that a wait can tell whether something happened since its cursor. */
export class History {
  #changes: Change[] = [];
  /** Changes up to and including this revision may be forgotten. */
  #compacted: Revision = 0n;

  push(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length >= 2 * REMEMBERED) {
      const forgotten = this.#changes.splice(0, REMEMBERED);
      this.#compacted = forgotten.at(-1)?.revision ?? this.#compacted;
    }
  }

  /** Whether a change after this revision satisfies the test, or may have: the answer errs towards yes. */
  someSince(since: Revision, test: (change: Change) => boolean): boolean {
    if (since < this.#compacted) return true;
    for (let i = this.#changes.length - 1; i >= 0; i--) {
      const change = this.#changes[i];
      if (change === undefined || change.revision <= since) return false;
      if (test(change)) return true;
    }
    return false;
  }

  clear(): void {
    this.#changes = [];
    this.#compacted = 0n;
  }
}
