interface Shared {
  readonly tasks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Thousands of calls may share one signal. With a listener each, Node warns of a leak from the eleventh on, and adding or
 * removing one costs a walk over all the others; so a signal has one listener here, whoever listens.
 */
const bySignal = new WeakMap<AbortSignal, Shared>();

/**
 * Calls `task` once when the signal aborts, unless the returned function was called before. A signal that has aborted
 * already calls nobody.
 */
export function onAbort(signal: AbortSignal, task: () => void): () => void {
  const { tasks, listener } = bySignal.get(signal) ?? listen(signal);
  // The same function may be given twice, by two who know nothing of each other.
  const own = (): void => task();
  tasks.add(own);
  return () => {
    if (!tasks.delete(own) || tasks.size > 0) return;
    signal.removeEventListener('abort', listener);
    bySignal.delete(signal);
  };
}

function listen(signal: AbortSignal): Shared {
  const tasks = new Set<() => void>();
  const listener = (): void => {
    bySignal.delete(signal);
    for (const task of [...tasks]) if (tasks.delete(task)) task();
  };
  const shared = { tasks, listener };
  bySignal.set(signal, shared);
  signal.addEventListener('abort', listener, { once: true });
  return shared;
}
