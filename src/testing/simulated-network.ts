import type { Backend, QueryOptions } from '../contract/backend.ts';
import { SyncError } from '../contract/errors.ts';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkChoice, checkNumber, invalidOf } from './checks.ts';
import type { ProcessClock } from './process-clock.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What a network does to the messages of one process. Probabilities from 0 to 1, milliseconds of true time. */
export interface NetworkConditions {
  /** Each message takes between these. */
  readonly delay: readonly [least: number, most: number];
  /** What a reply takes on top of that. */
  readonly replyDelay: readonly [least: number, most: number];
  readonly loseRequest: number;
  /** The request is carried out, and nobody hears of it. */
  readonly loseReply: number;
  /**
   * The request is carried out twice, and only the second time is heard of: something on the way had no answer, and
   * asked again. A transport that delivers in order, such as TCP, repeats nothing after an answer has come.
   */
  readonly repeat: number;
  /** Nothing gets through in these directions. */
  readonly cut: 'none' | 'requests' | 'replies' | 'both';
}

export const calm: NetworkConditions = {
  delay: [0.2, 2],
  replyDelay: [0, 0],
  loseRequest: 0,
  loseReply: 0,
  repeat: 0,
  cut: 'none',
};

const CONDITIONS: Names<NetworkConditions> = {
  delay: true,
  replyDelay: true,
  loseRequest: true,
  loseReply: true,
  repeat: true,
  cut: true,
};
const CUTS: readonly NetworkConditions['cut'][] = ['none', 'requests', 'replies', 'both'];

const invalid = invalidOf('SimulatedNetwork');

type Wake = (error?: SyncError) => void;

/**
 * A backend behind a network that loses, delays and repeats. A call that has no answer rejects after `timeout`
 * milliseconds of the process's own clock; what it asked for may be carried out nevertheless, also after that.
 */
export class SimulatedNetwork {
  #conditions: NetworkConditions = calm;
  readonly #world: VirtualClock;
  readonly #process: ProcessClock;
  readonly #timeout: number;
  readonly #hanging = new Set<(reason: unknown) => void>();
  #closed = false;

  constructor(world: VirtualClock, process: ProcessClock, timeout: number) {
    // By what they have: of another copy of this library they are as good.
    if (typeof world?.runUntil !== 'function') throw invalid('world', 'must be a VirtualClock');
    if (typeof process?.whenRunning !== 'function') throw invalid('process', 'must be a ProcessClock');
    checkNumber(invalid, 'timeout', timeout, { above: 0 });
    this.#world = world;
    this.#process = process;
    this.#timeout = timeout;
  }

  /** For all messages that are sent from now on. Throws a `SyncError` `invalid-option` that names what is wrong. */
  get conditions(): NetworkConditions {
    return this.#conditions;
  }

  set conditions(conditions: NetworkConditions) {
    refuseUnknown(conditions, CONDITIONS, invalid);
    for (const name of ['delay', 'replyDelay'] as const) checkSpan(name, conditions[name]);
    for (const name of ['loseRequest', 'loseReply', 'repeat'] as const) {
      checkNumber(invalid, name, conditions[name], { least: 0, most: 1 });
    }
    checkChoice(invalid, 'cut', conditions.cut, CUTS);
    this.#conditions = { ...conditions };
  }

  /** @param server a client of the store that stands beside it, and is never cut off. */
  connect(server: Backend): Backend {
    const never = new AbortController().signal;
    const { traits } = server;
    const watch = server.watch?.bind(server);
    const positionOf = server.positionOf?.bind(server);
    return {
      traits,
      lockPath: (key) => server.lockPath(key),
      openSession: (options, signal) => this.#call(signal, () => server.openSession(options, never)),
      renewSession: (id, signal) => this.#call(signal, () => server.renewSession(id, never)),
      closeSession: (id, signal) => this.#call(signal, () => server.closeSession(id, never)),
      commit: (commit, signal) => this.#call(signal, () => server.commit(commit, never)),
      query: (scope, options) => this.#query(options, (passed) => server.query(scope, passed)),
      ...(watch && { watch: (key, since, wake) => this.#watch((told) => watch(key, since, told), wake) }),
      ...(positionOf && { positionOf }),
      [Symbol.asyncDispose]: async () => {
        this.#closed = true;
        for (const end of [...this.#hanging]) end(new SyncError('stopped', 'disposed'));
      },
    };
  }

  /** Every connection breaks: calls reject now, whatever became of them. */
  reset(): void {
    for (const end of [...this.#hanging]) end(new SyncError('unavailable', 'connection reset'));
  }

  #query<T>(options: QueryOptions, act: (options: QueryOptions) => Promise<T>): Promise<T> {
    // The server gives up a blocked query when its client has, or the wait is over.
    const atServer = new AbortController();
    const { since, wait = this.#timeout } = options;
    const passed =
      since === undefined ? { signal: atServer.signal } : { since, wait, signal: atServer.signal };
    const bound = since === undefined ? this.#timeout : this.#timeout + wait;
    const call = this.#call(options.signal, () => act(passed), bound);
    const done = (): void => atServer.abort(new Error('hung up'));
    call.then(done, done);
    return call;
  }

  /** Without a bound in time: a request or a wake that is lost is never made up for. */
  #watch(place: (told: Wake) => () => void, wake: Wake): () => void {
    let takeBack = (): void => {};
    const over = (): boolean => !this.#hanging.delete(end);
    const end = (reason: unknown): void => {
      if (over()) return;
      takeBack();
      wake(reason as SyncError);
    };
    this.#hanging.add(end);
    if (this.#closed) this.#world.after(0, () => end(new SyncError('stopped', 'disposed')));
    else if (!this.#lost('requests', this.conditions.loseRequest)) {
      this.#world.after(this.#between(this.conditions.delay), () => {
        if (!this.#hanging.has(end)) return;
        takeBack = place((error) => {
          if (this.#lost('replies', this.conditions.loseReply)) return;
          const { delay, replyDelay } = this.conditions;
          const travel = this.#between(delay) + this.#between(replyDelay);
          this.#world.after(travel, () => this.#process.whenRunning(() => !over() && wake(error)));
        });
      });
    }
    return () => {
      if (!over()) takeBack();
    };
  }

  #call<T>(signal: AbortSignal, act: () => Promise<T>, bound = this.#timeout): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(new SyncError('stopped', 'disposed'));
      if (signal.aborted) return reject(signal.reason);
      const settle = (finish: () => void): void => {
        if (!this.#hanging.delete(end)) return;
        signal.removeEventListener('abort', onAbort);
        timer.cancel();
        finish();
      };
      const end = (reason: unknown): void => settle(() => reject(reason));
      const onAbort = (): void => end(signal.reason);
      const timer = this.#process.after(bound, () =>
        end(new SyncError('unavailable', `no answer within ${bound} ms`)),
      );
      this.#hanging.add(end);
      signal.addEventListener('abort', onAbort, { once: true });
      const reply = (finish: () => void): void => {
        if (this.#lost('replies', this.conditions.loseReply)) return;
        const { delay, replyDelay } = this.conditions;
        const travel = this.#between(delay) + this.#between(replyDelay);
        this.#world.after(travel, () => this.#process.whenRunning(() => settle(finish)));
      };
      this.#request(
        () => act(),
        () =>
          act().then(
            (value) => reply(() => resolve(value)),
            (error: unknown) => reply(() => reject(error)),
          ),
      );
    });
  }

  #request(unheard: () => Promise<unknown>, heard: () => Promise<void>): void {
    if (this.#lost('requests', this.conditions.loseRequest)) return;
    const { delay } = this.conditions;
    const travel = this.#between(delay);
    if (this.#world.random() >= this.conditions.repeat) {
      this.#world.after(travel, () => void heard());
      return;
    }
    this.#world.after(travel, () => void unheard().catch(() => undefined));
    this.#world.after(travel + this.#between(delay), () => void heard());
  }

  #lost(direction: 'requests' | 'replies', probability: number): boolean {
    const { cut } = this.conditions;
    return cut === 'both' || cut === direction || this.#world.random() < probability;
  }

  #between([least, most]: readonly [number, number]): number {
    return least + (most - least) * this.#world.random();
  }
}

function checkSpan(name: string, span: unknown): void {
  if (!Array.isArray(span) || span.length !== 2) throw invalid(name, 'must be a pair of milliseconds');
  const [least, most] = span;
  checkNumber(invalid, name, least, { least: 0 });
  checkNumber(invalid, name, most, { least });
}
