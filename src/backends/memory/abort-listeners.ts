/**
 * Thousands of calls may share one signal. With a listener each, Node warns of a leak from the eleventh on, and adding
 * one costs a walk over all the others; so there is one listener a signal.
 */
export class AbortListeners {
  readonly #bySignal = new Map<
    AbortSignal,
    { readonly tasks: Set<() => void>; readonly listener: () => void }
  >();

  /** Calls `task` when the signal aborts, unless the returned function was called before. */
  add(signal: AbortSignal, task: () => void): () => void {
    const { tasks, listener } = this.#bySignal.get(signal) ?? this.#listen(signal);
    tasks.add(task);
    return () => {
      if (!tasks.delete(task) || tasks.size > 0) return;
      signal.removeEventListener('abort', listener);
      this.#bySignal.delete(signal);
    };
  }

  #listen(signal: AbortSignal) {
    const tasks = new Set<() => void>();
    const listener = () => {
      for (const task of [...tasks]) task();
    };
    const entry = { tasks, listener };
    this.#bySignal.set(signal, entry);
    signal.addEventListener('abort', listener);
    return entry;
  }
}
