import {
  type Backend,
  type Commit,
  type CommitResult,
  type Grant,
  type QueryOptions,
  SyncError,
} from 'holdfast';
import { LockHistory } from '../../src/testing/lock-history.ts';
import { ProcessClock } from '../../src/testing/process-clock.ts';
import { calm, type NetworkConditions, SimulatedNetwork } from '../../src/testing/simulated-network.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { QUIET } from '../quiet.ts';
import { withVerbs } from '../with-verbs.ts';
import { type Believer, KeyHistory, type Violation } from './history.ts';

/** The library under test: the real one, or a copy with a known mistake in it. */
export interface Subject {
  readonly SyncManager: typeof import('holdfast').SyncManager;
  readonly SyncError: typeof import('holdfast').SyncError;
  readonly MemoryStore: typeof import('holdfast/memory').MemoryStore;
  readonly memory: typeof import('holdfast/memory').memory;
}

export const TTL = 500;
/** More than clocks that are off by 2 % need. */
const MARGIN = 25;
/** Milliseconds after which the next in line has noticed that it is the next, when all is well. */
const NOTICE = 150;
/** Milliseconds after which what a lost request has left behind is gone, when all is well. */
const LEFTOVER = 1_200;
/** Milliseconds after which a watch has told that a record is gone, when all is well. */
const TOLD = 40;

/** Milliseconds of true time by which all has arrived that was held back. */
const ARRIVED = 5_000;

/** Milliseconds after a restore in which replies are lost to whoever puts a lock. */
const DEAF = 500;

/** With these a connection may break after the request was sent. */
const GARBLED = ['insecure', 'bad-response', 'rejected', 'permission-denied'] as const;

/** Milliseconds after which a holder knows that its record is gone, also where no watch told. */
const UNNOTICED = TTL + NOTICE;
/** What it may take longer after several looks in a row were lost, as when a store was restored: the longest pause between two. */
const LOOK_AGAIN = 1_000;

export interface Process {
  readonly number: number;
  readonly clock: ProcessClock;
  readonly network: SimulatedNetwork;
  readonly sync: InstanceType<Subject['SyncManager']>;
  /** Grants that somebody in this process may still believe in. */
  readonly grants: Set<Grant>;
  readonly stopping: AbortController;
  /** How many calls are waiting for a key at the moment. */
  readonly asking: Map<string, number>;
  /** Keys with a standing claim. */
  readonly standing: Set<string>;
  /** It knows that the store went back in time, and gets no lock any more. */
  noticed: boolean;
  /** The scoped callers in line for a key, by the number in which they asked. */
  readonly line: Map<string, Set<number>>;
  /** How often it was frozen or asleep. */
  halts: number;
  dead: boolean;
}

/** What is written says under which grant, and for the how-manieth time. */
export const written = (grant: Grant, round: number): string => `${grant.token}.${round}`;
const tokenOf = (text: string): bigint => BigInt(text.split('.')[0] ?? '');

/** One store, some processes, and everything that was seen. All chance comes from the seed. */
export class World {
  readonly clock: VirtualClock;
  readonly processes: Process[] = [];
  readonly keys: readonly string[];
  readonly lines: string[] = [];
  readonly store: InstanceType<Subject['MemoryStore']>;
  readonly contention: 'queue' | 'race';
  readonly lockDelay: number;
  readonly mayOperate: boolean;
  /** Whether machines may sleep and wall clocks be set: then belief may pause until a session is verified. */
  readonly mayDoubt: boolean;
  /** Whether wall clocks may be set back; then no machine sleeps. Together they can hide a sleep from both clocks. */
  readonly maySetBack: boolean;
  /** Whether the operator also deletes records when all is well. */
  readonly mayTake: boolean;
  /** Whether the store may be restored from an earlier copy, while the sessions live on. */
  readonly mayRestore: boolean;
  /** Whether connections may be garbled: then a commit fails by other codes as well, whatever became of it. */
  readonly mayGarble: boolean;
  restored = false;
  /** From now on nothing goes wrong. */
  well = false;
  /** And what went wrong before is over. */
  healed = false;
  readonly #subject: Subject;
  readonly #trace: boolean;
  readonly #histories: Map<string, KeyHistory>;
  readonly #orders: Map<string, LockHistory>;
  readonly #others: Violation[] = [];
  /** Grants that somebody has looked at and found not to be held. */
  readonly #over = new WeakSet<Grant>();
  readonly #since = new Map<string, number>();
  /** Whether the backend has the optional verb `watch`. */
  readonly #watches: boolean;
  /** Of the server: cursors of an earlier one mean nothing. */
  #incarnation = 1;
  #down = false;
  #restoredAt = Number.NEGATIVE_INFINITY;
  #places = 0;
  #copy: ReturnType<InstanceType<Subject['MemoryStore']>['copy']> | undefined;

  constructor(subject: Subject, seed: number, trace: boolean) {
    this.#subject = subject;
    this.#trace = trace;
    this.clock = new VirtualClock({ seed });
    this.contention = this.chance(0.5) ? 'queue' : 'race';
    this.lockDelay = this.contention === 'race' && this.chance(0.5) ? this.between(50, 400) : 0;
    this.mayOperate = this.chance(0.3);
    this.mayTake = this.mayOperate && this.chance(0.5);
    this.mayRestore = !this.mayOperate && this.chance(0.4);
    this.mayGarble = this.chance(0.4);
    this.mayDoubt = this.chance(0.5);
    this.maySetBack = this.mayDoubt && this.chance(0.3);
    this.#watches = this.chance(0.5);
    this.keys = this.chance(0.7) ? ['k'] : ['k', 'k/below'];
    const expiry = this.chance(0.5) ? 1 : 2;
    this.store = new subject.MemoryStore({ contention: this.contention, clock: this.clock, expiry });
    this.#histories = new Map(this.keys.map((key) => [key, new KeyHistory(key, this)]));
    const now = (): number => this.clock.now();
    this.#orders = new Map(this.keys.map((key) => [key, new LockHistory({ now })]));
    this.note(() => `${this.contention}, lock-delay ${this.lockDelay}, expiry x${expiry}, keys ${this.keys}`);
  }

  chance(probability: number): boolean {
    return this.clock.random() < probability;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.clock.random();
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.clock.random() * items.length)] as T;
  }

  nextPlace(): number {
    this.#places += 1;
    return this.#places;
  }

  note(line: () => string): void {
    if (this.#trace) this.lines.push(`${this.clock.now().toFixed(1).padStart(9)} ms  ${line()}`);
  }

  violate(rule: string, detail: string): void {
    this.#others.push({ rule, at: this.clock.now(), detail });
  }

  get violations(): Violation[] {
    const seen = [...this.#histories.values()].flatMap(({ violations }) => violations);
    return [...seen, ...this.#others].sort((a, b) => a.at - b.at);
  }

  /** What the callers saw of a key, to be put in order when the run is over. */
  order(key: string): LockHistory {
    return this.#orders.get(key) as LockHistory;
  }

  /** Whether what was seen can have happened in some order at all. */
  checkOrder(): void {
    // What was written is gone, and revisions come again.
    if (this.restored) return;
    for (const key of this.keys) {
      const verdict = this.order(key).check({ beliefs: !this.mayOperate });
      if (!verdict.ok) this.violate('no order explains what was seen', `${key}: ${verdict.message}`);
    }
  }

  history(key: string): KeyHistory {
    return this.#histories.get(key) as KeyHistory;
  }

  spawn(): Process {
    const number = this.processes.length + 1;
    const { SyncManager, memory } = this.#subject;
    // Within what the margin allows.
    const clock = new ProcessClock(this.clock, {
      rate: this.between(0.98, 1.02),
      wallLead: this.between(-1e6, 1e6),
    });
    const network = new SimulatedNetwork(this.clock, clock, this.between(100, 450));
    const server = this.#observed(memory({ store: this.store }), number);
    const backend = this.#asked(network.connect(server), server, () => process);
    const session = { ttl: TTL, margin: MARGIN, lockDelay: this.lockDelay };
    const handOff = { limit: this.pick([0, 1, 3, 1_000]), within: this.between(20, 1_000) };
    const sync = new SyncManager({ name: `p${number}`, backend, clock, session, handOff, logger: QUIET });
    const process: Process = {
      number,
      clock,
      network,
      sync,
      grants: new Set(),
      stopping: new AbortController(),
      asking: new Map(),
      standing: new Set(),
      line: new Map(),
      halts: 0,
      dead: false,
      noticed: false,
    };
    this.processes.push(process);
    sync.events$.subscribe((event) => {
      if (event.type === 'trouble') this.#notice(process, event.error);
    });
    return process;
  }

  get alive(): Process[] {
    return this.processes.filter(({ dead }) => !dead);
  }

  /** The server ends, with everybody's connection, and comes back with its data, but with a history of its own. */
  restart(downtime: number): void {
    this.#down = true;
    for (const { network } of this.processes) network.reset();
    this.clock.after(downtime, () => this.comeUp());
  }

  comeUp(): void {
    if (!this.#down) return;
    this.#down = false;
    this.#incarnation += 1;
  }

  /** Most often an older one stays: the further the store goes back, the more is noticed. */
  keepCopy(): void {
    if (this.#copy === undefined || this.chance(0.2)) this.#copy = this.store.copy();
  }

  /** Back to the copy. `false`: there is none, or nothing happened since. */
  restore(): boolean {
    if (this.#copy === undefined || this.#copy.revision === this.store.copy().revision) return false;
    this.restored = true;
    this.#restoredAt = this.clock.now();
    this.store.restore(this.#copy);
    return true;
  }

  /** Until then the operator deletes a record every now and then. */
  takeUntil(end: number): void {
    this.clock.after(this.between(10, 120), () => {
      if (this.clock.now() >= end) return;
      const records = this.store.records().filter(({ session }) => session !== undefined);
      const record = this.pick(records);
      if (records.length > 0) {
        this.store.commit({ when: [], then: [{ remove: record.key }] });
        this.note(() => `-- record ${record.key} is deleted`);
      }
      this.takeUntil(end);
    });
  }

  setNetwork(process: Process, conditions: Partial<NetworkConditions>): void {
    process.network.conditions = this.well ? calm : { ...calm, ...conditions };
  }

  /** After every event: who believes what? A process that cannot run cannot look. */
  check(): void {
    for (const key of this.keys) {
      const believers: Believer[] = [];
      for (const process of this.processes) {
        const { number, clock, grants, standing, stopping, sync } = process;
        if (!clock.running) continue;
        // A standing claim may get the lock while nobody asks.
        if (standing.has(key) && !stopping.signal.aborted) {
          const { grant } = sync.lock(key);
          if (grant !== undefined) this.meet(process, grant, 0);
        }
        for (const grant of grants) {
          if (grant.key !== key) continue;
          if (!grant.held) this.#over.add(grant);
          else {
            believers.push({ process: number, token: grant.token });
            this.order(key).looked(`p${number}`, grant.token);
            if (!this.mayDoubt && this.#over.has(grant))
              this.violate('a grant revived', `${key}: ${grant.token}`);
          }
        }
      }
      this.history(key).believers(this.clock.now(), believers);
      if (this.well) this.#checkRecords(key, believers);
    }
  }

  /** Somebody has this grant in hands, asked for at some time. The same one may be met again and again. */
  meet(process: Process, grant: Grant, asked: number): void {
    if (process.grants.has(grant)) return;
    process.grants.add(grant);
    const { number } = process;
    // What was acquired for a caller before this one, and handed on or inherited from who gave up, an operator may have
    // taken away without our knowing yet.
    this.order(grant.key)
      .acquiring(`p${number}`, this.mayOperate ? 0 : asked)
      .granted(grant.token);
    const now = this.clock.now();
    const history = this.history(grant.key);
    const isHandOff = (grant.token & 0xffffn) > 0n;
    // Behind a standing claim it may have got in line just now.
    if (this.healed && isHandOff && asked > 0) {
      history.handedOn(now, { process: number, token: grant.token }, Math.min(asked, now - TOLD));
    }
    history.granted(now, { process: number, token: grant.token });
    this.note(() => `p${number} holds ${grant.key}, token ${grant.token}`);
  }

  /** When all is well, whoever is next notices soon, and what nobody wants is not left standing. */
  #checkRecords(key: string, believers: readonly Believer[]): void {
    const path = this.contention === 'queue' ? `${key}/.lock/` : key;
    const records = this.store.records(path).filter((record) => record.session !== undefined);
    const [head] = records.toSorted((a, b) => Number(a.created - b.created));
    const owners = new Map<string | undefined, string>(
      this.store.sessions().map(({ id, name }) => [id, name]),
    );
    const seen = new Set<string>();
    for (const record of records) {
      if (this.contention === 'race' && record.key !== key) continue;
      const owner = owners.get(record.session);
      const process = this.alive.find(({ number }) => owner === `p${number}`);
      if (process === undefined || believers.some((believer) => believer.process === process.number))
        continue;
      if (process.noticed) continue;
      const asks = (process.asking.get(key) ?? 0) > 0;
      const stands = process.standing.has(key);
      // What a restored copy brings back is found by whoever asks again.
      if (!asks && !stands && !this.restored) {
        this.#lasts(seen, `${record.key} of ${record.session}`, LEFTOVER, 'a record that nobody wants');
      }
      const isNext = record === head && this.contention === 'queue' && believers.length === 0;
      if (this.healed && asks && isNext) {
        this.#lasts(seen, `${record.key} is next`, NOTICE, 'nobody noticed a turn');
      }
    }
    for (const { process } of believers) {
      const stands = records.some(({ session }) => owners.get(session) === `p${process}`);
      if (!stands)
        this.#lasts(
          seen,
          `${path} of p${process}`,
          this.restored ? UNNOTICED + LOOK_AGAIN : UNNOTICED,
          'a lock is believed in without a record',
        );
    }
    for (const what of this.#since.keys())
      if (what.startsWith(`${path}`) && !seen.has(what)) this.#since.delete(what);
  }

  #lasts(seen: Set<string>, what: string, bound: number, rule: string): void {
    const since = this.#since.get(what) ?? this.clock.now();
    this.#since.set(what, since);
    seen.add(what);
    if (this.clock.now() - since > bound) this.violate(rule, what);
  }

  /** Whether a newcomer would meet a lock-delay. */
  isHeldBack(key: string): boolean {
    const session = this.store.openSession({ name: 'newcomer', ttl: TTL, lockDelay: 0 });
    const put = { put: key, value: new Uint8Array(), session };
    const result = this.store.commit({ when: [{ key, is: 'absent' }], then: [put] });
    if (result.ok) this.store.commit({ when: [], then: [{ remove: key }] });
    this.store.closeSession(session);
    return !result.ok && result.why === 'delayed';
  }

  #notice(process: Process, error: unknown): void {
    const { code } = (error ?? {}) as { readonly code?: string };
    if (code === 'store-reset') process.noticed = true;
  }

  /** What a process asks, at its own end of the network. */
  #asked(backend: Backend, server: Backend, process: () => Process): Backend {
    const { SyncError: ErrorOfSubject } = this.#subject;
    const commit: Backend['commit'] = (wanted, signal) => {
      const takes = wanted.then.some(
        (mutation) => mutation.put !== undefined && mutation.session !== undefined,
      );
      if (takes && process().noticed) {
        this.violate('a lock is asked for after a reset was noticed', `p${process().number}`);
      }
      // The reply is lost by which a reset would be noticed.
      if (takes && !this.well && this.clock.now() < this.#restoredAt + DEAF && this.chance(0.5)) {
        return this.#late(wanted, server, process(), new ErrorOfSubject('unavailable', 'no reply'), 2);
      }
      const puts = wanted.then.some((mutation) => mutation.put !== undefined);
      if (!puts || this.well || !this.mayGarble) return backend.commit(wanted, signal);
      const garbled = new ErrorOfSubject(this.pick(GARBLED), 'garbled');
      if (this.chance(0.1)) return this.#late(wanted, server, process(), garbled);
      return backend.commit(wanted, signal).catch((error: unknown) => {
        throw this.well || signal.aborted || this.chance(0.5) ? error : garbled;
      });
    };
    // With or without `watch`, as it is.
    return Object.assign({}, backend, { commit });
  }

  /** The connection breaks at once, and what was asked arrives nevertheless, within so many milliseconds. */
  #late(
    wanted: Commit,
    server: Backend,
    { clock }: Process,
    error: Error,
    within = Math.min(2_500, ARRIVED - this.clock.now()),
  ): Promise<CommitResult> {
    this.clock.after(this.between(0, within), () => {
      void server.commit(wanted, new AbortController().signal).catch(() => undefined);
    });
    return new Promise((_, reject) => {
      clock.after(this.between(1, 10), () => reject(error));
    });
  }

  /** Sees guarded writes in the order in which the store accepts them. */
  #observed(server: Backend, process: number): Backend {
    const up = <T>(act: () => Promise<T>): Promise<T> =>
      this.#down ? Promise.reject(new SyncError('unavailable', 'connection refused')) : act();
    const query: Backend['query'] = async (scope, options) => {
      const { records, at } = await server.query(scope, this.#atServer(options));
      return { records, at: `${this.#incarnation}:${at}` };
    };
    const commit: Backend['commit'] = async (wanted, signal): Promise<CommitResult> => {
      // The memory store acts before it answers: nothing comes between this and the next line.
      const answer = server.commit(wanted, signal);
      const put = wanted.then.find((mutation) => mutation.put?.endsWith('/data'));
      const result = await answer;
      if (result.ok && put?.put !== undefined) {
        const token = tokenOf(Buffer.from(put.value).toString());
        this.history(put.put.slice(0, -'/data'.length)).accepted(this.clock.now(), { process, token });
      }
      return result;
    };
    return withVerbs(server, {
      ...(this.#watches && {
        watch: (key, since, wake) => this.#watch(server, key, since, wake),
        positionOf: (key, revision) => `${this.#incarnation}:${server.positionOf?.(key, revision)}`,
      }),
      openSession: (options, signal) => up(() => server.openSession(options, signal)),
      renewSession: (id, signal) => up(() => server.renewSession(id, signal)),
      closeSession: (id, signal) => up(() => server.closeSession(id, signal)),
      query: (scope, options) => up(() => query(scope, options)),
      commit: (wanted, signal) => up(() => commit(wanted, signal)),
    });
  }

  #watch(server: Backend, key: string, since: string, wake: (error?: SyncError) => void): () => void {
    const [incarnation, position = ''] = since.split(':');
    const takeBack = server.watch?.(key, position, wake);
    const [isOld, forNothing] = [Number(incarnation) !== this.#incarnation, this.chance(0.1)];
    const down = this.#down ? new SyncError('unavailable', 'connection refused') : undefined;
    if (!isOld && !forNothing && down === undefined) return takeBack ?? (() => {});
    const soon = this.clock.after(forNothing ? this.between(0, 50) : 0, () => {
      takeBack?.();
      wake(down);
    });
    return () => {
      soon.cancel();
      takeBack?.();
    };
  }

  /** A position of an earlier server is answered at once; and a server may answer for nothing. */
  #atServer({ since, wait, signal }: QueryOptions): QueryOptions {
    const [incarnation, position] = since?.split(':') ?? [];
    if (position === undefined || Number(incarnation) !== this.#incarnation) return { signal };
    const longest = this.chance(0.1) ? this.between(0, 50) : wait;
    return { since: position, signal, ...(longest === undefined ? {} : { wait: longest }) };
  }
}
