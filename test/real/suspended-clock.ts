import { type Clock, systemClock } from 'holdfast';

/** How often the clock is looked at, and from which gap on the process was stopped and not just busy. Milliseconds. */
const BEAT = 20;
const STOPPED = 1_000;

/**
 * A monotonic clock that stands still while the process is stopped, as one does while a machine is suspended. The wall
 * clock goes on.
 */
export function suspendedClock(): Clock {
  let last = performance.now();
  let slept = 0;
  const now = (): number => {
    const instant = performance.now();
    if (instant - last > STOPPED) slept += instant - last;
    last = instant;
    return instant - slept;
  };
  setInterval(now, BEAT).unref();
  return {
    ...systemClock,
    now,
    after(ms, task) {
      const due = now() + ms;
      let handle: NodeJS.Timeout;
      const arm = (): void => {
        handle = setTimeout(() => (now() < due ? arm() : task()), Math.max(0, due - now()));
      };
      arm();
      return { cancel: () => clearTimeout(handle) };
    },
  };
}
