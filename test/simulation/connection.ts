import type { Backend, Commit, CommitResult } from 'holdfast';
import type { Process } from './process.ts';
import type { World } from './world.ts';

/** With these a connection may break after the request was sent. */
const GARBLED = ['insecure', 'bad-response', 'rejected', 'permission-denied'] as const;

/** Milliseconds after the harm by which all has arrived that was held back. */
const ARRIVED = 1_000;

/** Milliseconds after a restore in which replies are lost to whoever puts a record of its own. */
const DEAF = 500;

/**
 * A process's own end of the network: where connections are garbled, and a reply is lost that matters.
 *
 * @param backend across the network; `server` is what stands behind it.
 */
export function connect(world: World, process: () => Process, backend: Backend, server: Backend): Backend {
  const { SyncError } = world.subject;
  const late = (wanted: Commit, error: Error, within: number): Promise<CommitResult> => {
    world.clock.after(world.between(0, within), () => {
      void server.commit(wanted, new AbortController().signal).catch(() => undefined);
    });
    return new Promise((_, reject) => {
      process().clock.after(world.between(1, 10), () => reject(error));
    });
  };
  const commit: Backend['commit'] = (wanted, signal) => {
    const takes = wanted.then.some(
      (mutation) => mutation.put !== undefined && mutation.session !== undefined,
    );
    if (takes && process().noticed) {
      world.violate('a lock is asked for after a reset was noticed', process().name);
    }
    const isDeaf = world.clock.now() < world.server.restoredAt + DEAF;
    // The reply is lost by which a reset would be noticed.
    if (takes && !world.well && isDeaf && world.chance(0.5)) {
      return late(wanted, new SyncError('unavailable', 'no reply'), 2);
    }
    const puts = wanted.then.some((mutation) => mutation.put !== undefined);
    if (!puts || world.well || !world.mayGarble) return backend.commit(wanted, signal);
    const garbled = new SyncError(world.pick(GARBLED), 'garbled');
    // The connection breaks at once, and what was asked arrives nevertheless.
    if (world.chance(0.1))
      return late(wanted, garbled, Math.min(2_500, world.harm + ARRIVED - world.clock.now()));
    return backend.commit(wanted, signal).catch((error: unknown) => {
      throw world.well || signal.aborted || world.chance(0.5) ? error : garbled;
    });
  };
  // With or without `watch`, as it is.
  return Object.assign({}, backend, { commit });
}
