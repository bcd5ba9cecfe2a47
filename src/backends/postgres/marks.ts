import type { Revision } from '../../contract/backend.ts';
import { queueOf } from './scope.ts';
import type { Listened } from './server.ts';

/** Who is not among them any more reads, and writes an interest down. */
const MOST = 20_000;

export interface Mark extends Listened {
  /** The key under which it stands in a queue. */
  readonly entered?: string;
}

/** Where the last commits of this client stood when they were sent, by their revisions. */
export class Marks {
  readonly #marks = new Map<Revision, Mark>();

  add(revision: Revision, mark: Mark): void {
    this.#marks.set(revision, mark);
    if (this.#marks.size <= MOST) return;
    const [oldest] = this.#marks.keys();
    if (oldest !== undefined) this.#marks.delete(oldest);
  }

  delete(revision: Revision): void {
    this.#marks.delete(revision);
  }

  positionOf(revision: Revision): Listened {
    const { epoch, notices } = this.#marks.get(revision) ?? UNKNOWN;
    return { epoch, notices };
  }

  /** The key of ours that came into the queue with this revision, and stands there as far as is known. */
  entered(queue: string, revision: Revision): string | undefined {
    const key = this.#marks.get(revision)?.entered;
    return key !== undefined && queueOf(key) === queue ? key : undefined;
  }
}

const UNKNOWN: Listened = { epoch: undefined, notices: 0 };
