import { Line } from './line.ts';

/** What one of many wants done when their signal aborts. */
class Task {
  inLine = false;
  before: Task | undefined;
  behind: Task | undefined;
  readonly run: () => void;

  constructor(run: () => void) {
    this.run = run;
  }
}

/**
 * Thousands of calls may share one signal. With a listener each, Node warns of a leak from the eleventh on, and adding or
 * removing one costs a walk over all the others; so a signal has one listener here, whoever listens.
 */
class SharedListener {
  readonly #signal: AbortSignal;
  readonly #tasks = new Line<Task>();

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(task: Task): void {
    this.#tasks.push(task);
    if (this.#tasks.length === 1) this.#signal.addEventListener('abort', this);
  }

  delete(task: Task): void {
    if (this.#tasks.delete(task) && this.#tasks.length === 0) this.#signal.removeEventListener('abort', this);
  }

  handleEvent(): void {
    this.#signal.removeEventListener('abort', this);
    for (let task = this.#tasks.first; task !== undefined; task = this.#tasks.first) {
      this.#tasks.delete(task);
      task.run();
    }
  }
}

/**
 * Kept at the signal, also when nobody listens any more: one signal serves call after call. In a `WeakMap` each would cost
 * the collector of garbage several times what the rest costs.
 */
const SHARED: unique symbol = Symbol('holdfast.listener');

interface Listened extends AbortSignal {
  [SHARED]?: SharedListener;
}

/**
 * Calls `run` once when the signal aborts, unless the returned function was called before. A signal that has aborted
 * already calls nobody.
 */
export function onAbort(signal: AbortSignal, run: () => void): () => void {
  if (signal.aborted) return () => {};
  const listened: Listened = signal;
  listened[SHARED] ??= new SharedListener(signal);
  const listener = listened[SHARED];
  const task = new Task(run);
  listener.add(task);
  return () => listener.delete(task);
}

/** Aborts with a signal, at once if that has aborted already, and for its reason. Returns what takes it back. */
export function follow(controller: AbortController, signal: AbortSignal): () => void {
  if (signal.aborted) controller.abort(signal.reason);
  return onAbort(signal, () => controller.abort(signal.reason));
}
