import { setTimeout as sleep } from 'node:timers/promises';
import { type Holder, isSyncError, type SyncEvent, type Term } from 'holdfast';
import { firstValueFrom, toArray } from 'rxjs';
import { describe, expect, inject, test } from 'vitest';
import { counted } from '../real/counting.ts';
import { consulWorld, etcdWorld, memoryWorld, postgresWorld } from '../soak/stores.ts';
import { live, Managers, next, stateOf, uniqueKey, until } from './world.ts';

const worlds = [
  { ...memoryWorld(), name: 'memory (queue)' },
  { ...memoryWorld('race'), name: 'memory (race)' },
  etcdWorld(inject('etcdAddress')),
  consulWorld(inject('consulAddress')),
  postgresWorld(inject('postgresAddress')),
];

const nobody = (holder: Holder | undefined) => holder === undefined;
const ledBy = (member: string) => (holder: Holder | undefined) =>
  (holder?.metadata as { member?: string } | undefined)?.member === member;

describe.each(worlds)('leadership on $name', (world) => {
  /** Managers of one service. */
  function service(managers: Managers) {
    const name = uniqueKey('svc').replaceAll('/', '-');
    return (member: string) => managers.make({ name, metadata: { member } });
  }

  test('isLeader$ and leader$ tell who leads, and looking takes no session and no write', async () => {
    await using managers = new Managers(world);
    const member = service(managers);
    const [a, b] = [member('a'), member('b')];
    const looking = counted(world.backend());
    const observer = managers.make({ name: a.name, backend: looking.backend });
    const seen: (Holder | undefined)[] = [];
    observer.leadership.leader$.subscribe((holder) => seen.push(holder));
    await next(observer.leadership.leader$, nobody);

    const grant = await a.leadership.lock.lock();
    await next(a.leadership.isLeader$, (leads) => leads);
    const leader = await next(observer.leadership.leader$, ledBy('a'));
    expect(leader?.metadata).toEqual({ member: 'a' });
    expect([a.leadership.isLeader, observer.leadership.isLeader]).toEqual([true, false]);
    await b.leadership.lock.tryLock();
    await grant.release();
    await next(observer.leadership.leader$, ledBy('b'));
    await b.leadership.lock.release();
    await next(observer.leadership.leader$, nobody);
    expect(seen.map((holder) => (holder?.metadata as { member: string } | undefined)?.member)).toEqual(
      // A look may come between the release and the next leader.
      expect.arrayContaining([undefined, 'a', 'b']),
    );
    expect(looking.counts.commits).toBe(0);
    expect(await firstValueFrom(observer.session$)).toEqual({ name: 'idle' });
  });

  test('E9: what a holder wrote is shown as it is, JSON or not, and only once until it changes', async () => {
    await using managers = new Managers(world);
    const key = uniqueKey('raw');
    const operator = managers.operator();
    const { id: session } = await operator.openSession({ name: 'raw', ttl: 10_000, lockDelay: 0 }, live);
    const path = operator.lockPath(key);
    const put = operator.traits.contention === 'queue' ? `${path}proposal` : path;
    const write = async (text: string): Promise<bigint> => {
      const then = [{ put, value: new TextEncoder().encode(text), session }];
      const result = await operator.commit({ when: [], then }, live);
      return result.ok ? result.revision : -1n;
    };
    const seen: (string | undefined)[] = [];
    const looking = counted(world.backend());
    const holder$ = managers.make({ backend: looking.backend }).observe(key);
    holder$.subscribe((holder) => seen.push(holder && Buffer.from(holder.value).toString()));
    await next(holder$, nobody);
    const proposal = 'host-1:2380, which is no JSON';
    let revision = await write(proposal);
    const holder = await next(holder$, (found) => found !== undefined);
    expect([holder?.session, holder?.metadata]).toEqual([session, undefined]);
    for (let n = 0; n < 3; n++) {
      const { wakes } = looking.counts;
      const before = revision;
      revision = await write(proposal);
      // Consul does not count it as a change; the others wake who observes.
      if (revision > before) await until(() => looking.counts.wakes > wakes);
    }
    await write('{"member":"a"}');
    expect((await next(holder$, ledBy('a')))?.metadata).toEqual({ member: 'a' });
    await operator.closeSession(session, live);
    await next(holder$, nobody);
    expect(seen).toEqual([undefined, proposal, '{"member":"a"}', undefined]);
  });

  test('subscribers share one look; none of it is left after the last has gone, or after stop()', async () => {
    await using managers = new Managers(world);
    const { backend, counts } = counted(world.backend());
    const observer = managers.make({ backend });
    const holder$ = observer.observe(uniqueKey('shared'));
    const subscriptions = Array.from({ length: 10 }, () => holder$.subscribe());
    await next(holder$, nobody);
    const asked = counts.queries;
    expect(asked).toBeLessThanOrEqual(2);
    for (const subscription of subscriptions) subscription.unsubscribe();
    const rest = firstValueFrom(holder$.pipe(toArray()));
    await next(holder$, nobody);
    await observer.stop();
    expect(await rest).toEqual([undefined]);
    expect(await firstValueFrom(holder$.pipe(toArray()))).toEqual([]);
  });

  test('whileLeader begins on election, aborts on loss, begins again on re-election, and never overlaps', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const member = service(managers);
    const leader = member('a');
    const terms: Term[] = [];
    let [inside, most] = [0, 0];
    const work = leader.leadership.whileLeader(async (term) => {
      terms.push(term);
      most = Math.max(most, ++inside);
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
      // It takes its time to end, longer than the re-election.
      await sleep(150);
      inside--;
    });
    for (let round = 1; round <= 3; round++) {
      await until(() => terms.length === round);
      const term = terms[round - 1] as Term;
      expect(term.signal.aborted).toBe(false);
      const removed = { when: [], then: [{ remove: term.grant.isOwner.key }] };
      await operator.commit(removed, live);
      await until(() => term.signal.aborted);
      expect(isSyncError(term.signal.reason, 'lost')).toBe(true);
    }
    await until(() => terms.length === 4);
    expect(most).toBe(1);
    const tokens = terms.map(({ token }) => token);
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => (a < b ? -1 : 1)));
    await work.stop();
    expect([inside, terms[3]?.signal.aborted, leader.leadership.isLeader]).toEqual([0, true, true]);
    await work.stop();
  });

  test('C8: work that fails is told, and with `stay` waits for the next term', async () => {
    await using managers = new Managers(world);
    const sync = managers.make();
    const events: SyncEvent[] = [];
    sync.events$.subscribe((event) => events.push(event));
    let terms = 0;
    const failure = new Error('the work failed');
    await using _ = sync.leadership.whileLeader(
      () => {
        terms++;
        throw failure;
      },
      { onFailure: 'stay' },
    );
    await until(() => events.some((event) => event.type === 'listener-failed' && event.error === failure));
    await sync.leadership.stepDown({ pause: 1 });
    await until(() => terms === 2);
    expect(sync.leadership.isLeader).toBe(true);
  });

  test.each(['stepDown()', 'stop()'])(
    'the work of a leader has ended before there is another, when it gives way by %s',
    async (how) => {
      await using managers = new Managers(world);
      const member = service(managers);
      const [a, b] = [member('a'), member('b')];
      let inside = 0;
      const told: string[] = [];
      const lead = async ({ signal }: Term) => {
        told.push(`begins among ${inside++}`);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        await sleep(100);
        inside--;
      };
      a.leadership.whileLeader(lead);
      await until(() => inside === 1);
      b.leadership.whileLeader(lead);
      await stateOf(b.leadership.lock, 'waiting');
      await (how === 'stop()' ? a.stop() : a.leadership.stepDown({ pause: 60_000 }));
      await until(() => b.leadership.isLeader);
      await until(() => inside === 1);
      expect(told).toEqual(['begins among 0', 'begins among 0']);
    },
  );

  test('work that ends by its signal has not failed, whatever the platform makes of the reason', async () => {
    await using managers = new Managers(world);
    const sync = managers.make();
    const events: SyncEvent[] = [];
    sync.events$.subscribe((event) => events.push(event));
    let terms = 0;
    sync.leadership.whileLeader(async ({ signal }) => {
      terms++;
      if (terms === 1) await sleep(60_000, undefined, { signal });
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    });
    await until(() => terms === 1);
    await sync.leadership.stepDown({ pause: 1 });
    await until(() => terms === 2);
    await sync.stop();
    expect(events.filter(({ type }) => type === 'listener-failed')).toEqual([]);
  });

  test('work that does not end holds up a stepDown for its grace, and no longer', async () => {
    await using managers = new Managers(world);
    const sync = managers.make();
    let release = (): void => {};
    const endless = new Promise<void>((resolve) => {
      release = resolve;
    });
    let terms = 0;
    sync.leadership.whileLeader(() => {
      terms++;
      return endless;
    });
    await until(() => terms === 1);
    const begun = performance.now();
    await sync.leadership.stepDown({ pause: 60_000, grace: 100 });
    expect(performance.now() - begun).toBeGreaterThan(95);
    expect(sync.leadership.isLeader).toBe(false);
    // Who stands during the pause ends it; what has not ended yet is not begun again beside itself.
    sync.leadership.stand();
    await until(() => sync.leadership.isLeader);
    expect(terms).toBe(1);
    release();
    await until(() => terms === 2);
    await expect(sync.leadership.stepDown({ grace: -1 })).rejects.toMatchObject({ code: 'invalid-option' });
  });

  test('stepDown lets another one lead, and stands again after the pause', async () => {
    await using managers = new Managers(world);
    const member = service(managers);
    const [a, b] = [member('a'), member('b')];
    await a.leadership.lock.lock();
    await b.leadership.lock.tryLock();
    await a.leadership.stepDown({ pause: 200 });
    await next(b.leadership.isLeader$, (leads) => leads);
    expect(a.leadership.lock.claimed).toBe(false);
    await until(() => a.leadership.lock.claimed);
    await b.stop();
    await next(a.leadership.isLeader$, (leads) => leads);
    // Who did not stand does not stand afterwards.
    const c = member('c');
    await c.leadership.stepDown({ pause: 1 });
    await sleep(20);
    expect(c.leadership.lock.claimed).toBe(false);
    await expect(a.leadership.stepDown({ pause: -1 })).rejects.toMatchObject({ code: 'invalid-option' });
    await a.leadership.stepDown();
    // Nothing of the pause keeps it from stopping.
    await a.stop();
    expect(() => a.leadership.whileLeader(() => {})).toThrow(expect.objectContaining({ code: 'stopped' }));
  });
});
