import type { Clock } from './clock.ts';
import type { OwnContext } from './own-context.ts';

/** The same clock, whose timers are of this context. One that serves all callers is begun by whoever comes first. */
export function clockIn(context: OwnContext, clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    random: () => clock.random(),
    after: (ms, task) => context.run(() => clock.after(ms, task)),
  };
}
