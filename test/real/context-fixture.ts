// Run as a process: tells which uses of a manager keep the asynchronous context of a caller whose request is over.
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SyncManager } from 'holdfast';
import { QUIET } from '../quiet.ts';
import { Managers, sessionOf, uniqueKey, until } from '../scenarios/world.ts';
import { collect } from '../soak/levels.ts';
import { worldOf } from '../soak/stores.ts';

interface Request {
  readonly body: Uint8Array;
}

interface Case {
  readonly sync: SyncManager;
  /** Another service, in a context of its own. */
  readonly rival: SyncManager;
  readonly key: string;
  /** Runs what belongs to the request. */
  request<T>(work: () => Promise<T>): Promise<T>;
}

/** A lock that is held for longer than this is watched; so is, by then, whatever else is begun late. In milliseconds. */
const LATE = 400;

const [store = '', address = ''] = process.argv.slice(2);
const world = worldOf(store, address);
const requests = new AsyncLocalStorage<Request>();

/** Each does something for a request, and gives what is kept of it while the request is to be forgotten. */
const cases: Record<string, (use: Case) => Promise<unknown>> = {
  async 'a lock that was acquired and released, as the first there was'({ sync, key, request }) {
    return await request(async () => {
      const lock = sync.lock(key);
      await lock.lock();
      await lock.release();
      return lock;
    });
  },
  async 'a grant that was given back, as the first there was'({ sync, key, request }) {
    return await request(async () => {
      const grant = await sync.acquire(key, { signal: new AbortController().signal, timeout: 60_000 });
      await grant.release();
      return grant;
    });
  },
  async 'a standing claim that is held for long'({ sync, key, request }) {
    const grant = await request(() => sync.lock(key).lock());
    await sleep(LATE);
    return grant;
  },
  async 'a scoped grant that is held for long'({ sync, key, request }) {
    const grant = await request(() => sync.acquire(key));
    await sleep(LATE);
    return grant;
  },
  async 'a standing claim that waits'({ sync, rival, key, request }) {
    const held = await rival.acquire(key);
    await request(() => sync.lock(key).tryLock());
    await sleep(LATE);
    return held;
  },
  async 'a standing claim that has got its lock back'({ sync, rival, key, request }) {
    const lock = sync.lock(key);
    const first = await request(() => lock.lock());
    await rival.acquire(`${key}/warm`);
    const operator = world.backend();
    await operator.closeSession(await sessionOf(sync), new AbortController().signal);
    await operator[Symbol.asyncDispose]();
    await until(() => lock.held && lock.grant !== first);
    return lock;
  },
  async 'what was passed on from caller to caller'({ sync, key, request }) {
    const first = await sync.acquire(key);
    const second = request(() => sync.acquire(key));
    await first.release();
    const grant = await second;
    await sleep(LATE);
    return grant;
  },
  async 'a grant, beside others who come and go'({ sync, key, request }) {
    const grant = await request(() => sync.acquire(key));
    // The timers that all share are never idle.
    const turns = Array.from({ length: 20 }, (_, turn) => turn);
    for (const turn of turns) {
      const other = await sync.acquire(`${key}/${turn}`);
      await sleep(20);
      await other.release();
    }
    return grant;
  },
  async 'a metadata function of a grant that is held'({ sync, key, request }) {
    const grant = await request(() =>
      sync.acquire(key, { metadata: () => requests.getStore()?.body[0] ?? 0 }),
    );
    await sleep(LATE);
    return grant;
  },
  async 'a caller in line who gave up, behind one who goes on'({ sync, key, request }) {
    const grant = await sync.acquire(key);
    const controller = new AbortController();
    const { signal } = controller;
    const second = request(() => sync.acquire(key, { signal })).catch(() => undefined);
    await sleep(LATE);
    controller.abort(new Error('enough'));
    await second;
    return grant;
  },
  async 'a write, as the first request there was'({ sync, key, request }) {
    await request(() => sync.commit({ then: [{ put: key, value: 'x' }] }));
    return sync;
  },
  async 'a guarded write under a grant that is held'({ sync, key, request }) {
    const grant = await sync.acquire(key);
    const commit = { when: [grant.isOwner], then: [{ put: `${key}/data`, value: 'x' }] };
    await request(() => sync.commit(commit, { signal: new AbortController().signal }));
    return grant;
  },
  async 'a look at who holds'({ sync, key, request }) {
    const holders: unknown[] = [];
    const subscription = await request(async () =>
      sync.observe(key).subscribe((holder) => holders.push(holder)),
    );
    await until(() => holders.length > 0);
    return subscription;
  },
  async 'standing for leadership'({ sync, request }) {
    await request(async () => sync.leadership.stand());
    await until(() => sync.leadership.isLeader);
    await sleep(LATE);
    return sync;
  },
  async 'a stop'({ sync, key, request }) {
    await sync.acquire(key);
    await request(() => sync.stop());
    return sync;
  },
};

/** In a function of its own, whose variables are gone when it has ended. */
async function inRequest(
  name: string,
  sync: SyncManager,
  rival: SyncManager,
): Promise<[unknown, WeakRef<Request>]> {
  let seen: WeakRef<Request> | undefined;
  const kept = await cases[name]?.({
    sync,
    rival,
    key: uniqueKey('context'),
    request: (work) => {
      const request: Request = { body: new Uint8Array(1_000_000) };
      seen = new WeakRef(request);
      return requests.run(request, work);
    },
  });
  if (seen === undefined) throw new Error(`no request in: ${name}`);
  return [kept, seen];
}

/** Garbage may take a few rounds. */
async function isForgotten(seen: WeakRef<Request>): Promise<boolean> {
  for (let look = 0; look < 40; look++) {
    await sleep(25);
    collect();
    if (seen.deref() === undefined) return true;
  }
  return false;
}

const kept: unknown[] = [];
const pinned: string[] = [];
{
  await using managers = new Managers(world);
  for (const name of Object.keys(cases)) {
    const [sync, rival] = [managers.make({ logger: QUIET }), managers.make({ logger: QUIET })];
    const [keeps, seen] = await inRequest(name, sync, rival);
    kept.push(sync, keeps);
    if (!(await isForgotten(seen))) pinned.push(name);
  }
}
console.log(JSON.stringify({ cases: Object.keys(cases).length, kept: kept.length / 2, pinned }));
