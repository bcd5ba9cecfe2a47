import type { OwnContext } from '../async/own-context.ts';
import type { Backend, Clock } from './backend.ts';

/**
 * The same backend, asked in this context whoever asks: the first call opens connections, streams and timers that all
 * later ones share, and that would keep the context of that caller for as long as they last.
 */
export function backendIn(context: OwnContext, backend: Backend): Backend {
  const inside: Backend = {
    traits: backend.traits,
    lockPath: (key) => backend.lockPath(key),
    openSession: (options, signal) => context.run(() => backend.openSession(options, signal)),
    renewSession: (id, signal) => context.run(() => backend.renewSession(id, signal)),
    closeSession: (id, signal) => context.run(() => backend.closeSession(id, signal)),
    query: (scope, options) => context.run(() => backend.query(scope, options)),
    commit: (commit, signal) => context.run(() => backend.commit(commit, signal)),
    [Symbol.asyncDispose]: () => context.run(() => backend[Symbol.asyncDispose]()),
  };
  const { watch, positionOf } = backend;
  if (positionOf !== undefined)
    inside.positionOf = (key, revision) => positionOf.call(backend, key, revision);
  if (watch !== undefined) {
    inside.watch = (key, since, wake) => context.run(() => watch.call(backend, key, since, wake));
  }
  return inside;
}

/** The same clock, whose timers are of this context. One that serves all callers is begun by whoever comes first. */
export function clockIn(context: OwnContext, clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    random: () => clock.random(),
    after: (ms, task) => context.run(() => clock.after(ms, task)),
  };
}
