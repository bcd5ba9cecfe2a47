import type { Clock, Timer } from './clock.ts';

interface Waiting {
  readonly due: number;
  readonly task: () => void;
}

/**
 * Runs tasks after one and the same time, most of which are taken back before: a timer for each would cost a short
 * lock more than its state machine. Here one serves them all, and is set anew only when it has run out.
 */
export class SharedTimer {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #slack: number;
  /** In the order in which they are due. */
  readonly #waiting = new Set<Waiting>();
  #timer: Timer | undefined;

  /** @param slack milliseconds by which a task may run earlier, together with those that are due. */
  constructor(clock: Clock, ms: number, slack = 0) {
    this.#clock = clock;
    this.#ms = ms;
    this.#slack = slack;
  }

  after(task: () => void): Timer {
    const waiting = { due: this.#clock.now() + this.#ms, task };
    this.#waiting.add(waiting);
    this.#timer ??= this.#clock.after(this.#ms, this.#run);
    return { cancel: () => this.#waiting.delete(waiting) };
  }

  /** Nothing runs any more that was asked for before. */
  stop(): void {
    this.#waiting.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #run = (): void => {
    const now = this.#clock.now();
    const due: Waiting[] = [];
    let next: Waiting | undefined;
    for (const waiting of this.#waiting) {
      if (waiting.due > now + this.#slack) {
        next = waiting;
        break;
      }
      due.push(waiting);
    }
    this.#timer = next && this.#clock.after(next.due - now, this.#run);
    // One may take back another one.
    for (const waiting of due) if (this.#waiting.delete(waiting)) waiting.task();
  };
}
