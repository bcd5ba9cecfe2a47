import { randomUUID } from 'node:crypto';
import { clearTimeout, setTimeout } from '../../async/platform.ts';
import type { SyncError } from '../../contract/errors.ts';
import type { ListenerLike } from './database.ts';
import { deaf, hears } from './hearing.ts';
import { ANYTHING, type Notice, noticeOf } from './notice.ts';
import { quoteName } from './schema/install.ts';
import { queueOf } from './scope.ts';

/** Notices that are remembered, for who looked before one of them and begins to wait after it. */
const REMEMBERED = 4_096;
/** Milliseconds between a question that the connection must answer, and for which it may take. */
const ASK_EVERY = 10_000;
const ANSWER_WITHIN = 5_000;
/** Milliseconds. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2_000;
/** Until an address behind which nothing is told is tried again: it is a mistake, and somebody has to mend it. */
const DEAF_PAUSE = 30_000;

/** Of which changes somebody wants to hear. */
export type Interest = { readonly keys: readonly string[] } | { readonly prefix: string };

type Wake = (notice: Notice) => void;

export interface NoticesHost {
  dial(): Promise<ListenerLike>;
  /** By another connection than that. */
  notify(channel: string): Promise<unknown>;
  /** What notices are signed with, once that is known. */
  secret(): string | undefined;
}

/**
 * What other clients tell of, on one connection. A notice comes when what it is about can be seen: who has counted the notices before a
 * look has missed nothing. Each connection is an epoch of its own: of what happened between two of them nothing is known.
 */
export class Notices {
  readonly #host: NoticesHost;
  readonly #channel: string;
  /** Lists, as most names have one who follows, and a set for each takes a twentieth of what a lock takes. */
  readonly #byName = new Map<string, Wake[]>();
  readonly #prefixes = new Map<Wake, string>();
  #listener: ListenerLike | undefined;
  #epoch: string | undefined;
  #count = 0;
  #told: Notice[] = [];
  #wanted = false;
  #over = false;
  #timer: NodeJS.Timeout | undefined;
  #pause = FIRST_PAUSE;
  #deaf = false;
  #unsaid: SyncError | undefined;

  constructor(host: NoticesHost, channel: string) {
    this.#host = host;
    this.#channel = channel;
  }

  /** Of this moment. */
  get position(): { readonly epoch: string | undefined; readonly notices: number } {
    return { epoch: this.#epoch, notices: this.#count };
  }

  /** Begins to listen, if it does not yet. */
  begin(): void {
    if (this.#wanted || this.#over) return;
    this.#wanted = true;
    void this.#connect();
  }

  /** Why nothing will be told at this address: once each time that it turns out. */
  takeTrouble(): SyncError | undefined {
    const trouble = this.#unsaid;
    this.#unsaid = undefined;
    return trouble;
  }

  /** Whether something in there was told of since; also if that is not known. */
  since(notices: number, interest: Interest): boolean {
    const missed = this.#count - notices;
    if (missed === 0) return false;
    if (missed > this.#told.length) return true;
    return this.#told
      .slice(-missed)
      .some(({ keys }) => keys === undefined || keys.some((key) => isIn(key, interest)));
  }

  /** Calls `wake` with each notice about it, or one that may be about anything. */
  follow(interest: Interest, wake: Wake): void {
    if ('keys' in interest) for (const key of interest.keys) this.#add(key, wake);
    else if (queueOf(interest.prefix) === interest.prefix) this.#add(interest.prefix, wake);
    else this.#prefixes.set(wake, interest.prefix);
  }

  unfollow(interest: Interest, wake: Wake): void {
    if ('keys' in interest) for (const key of interest.keys) this.#delete(key, wake);
    else {
      this.#delete(interest.prefix, wake);
      this.#prefixes.delete(wake);
    }
  }

  /** Over a new connection: this one may lead elsewhere than the others. */
  again(): void {
    if (this.#listener !== undefined) this.#left(this.#listener);
  }

  async end(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.end().catch(() => undefined);
  }

  #add(name: string, wake: Wake): void {
    const wakes = this.#byName.get(name);
    if (wakes === undefined) this.#byName.set(name, [wake]);
    else wakes.push(wake);
  }

  #delete(name: string, wake: Wake): void {
    const wakes = this.#byName.get(name);
    const place = wakes?.indexOf(wake) ?? -1;
    if (place < 0) return;
    wakes?.splice(place, 1);
    if (wakes?.length === 0) this.#byName.delete(name);
  }

  async #connect(): Promise<void> {
    let listener: ListenerLike | undefined;
    try {
      listener = await this.#host.dial();
      if (this.#over) return;
      const dialled = listener;
      const left = (): void => this.#left(dialled);
      listener.on('error', left);
      listener.on('end', left);
      listener.on('notification', ({ channel, payload }) => {
        if (channel === this.#channel) this.#hear(noticeOf(payload, this.#host.secret()));
      });
      this.#listener = listener;
      await listener.connect();
      await listener.query(`LISTEN ${quoteName(this.#channel)}`);
      const isHeard = await hears(listener, (channel) => this.#host.notify(channel));
      if (this.#over || this.#listener !== listener) {
        await listener.end();
        return;
      }
      if (!isHeard) {
        this.#giveUp(listener);
        return;
      }
      this.#deaf = false;
      this.#unsaid = undefined;
      this.#epoch = randomUUID();
      this.#pause = FIRST_PAUSE;
      this.#wakeAll();
      this.#askLater(listener);
    } catch {
      this.#left(listener);
    }
  }

  #giveUp(listener: ListenerLike): void {
    if (!this.#deaf) this.#unsaid = deaf();
    this.#deaf = true;
    this.#pause = DEAF_PAUSE;
    this.#left(listener);
  }

  /** A connection may be dead without a sign. */
  #askLater(listener: ListenerLike): void {
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => this.#left(listener), ANSWER_WITHIN);
      listener.query('SELECT 1').then(
        () => {
          if (this.#listener !== listener) return;
          clearTimeout(this.#timer);
          this.#askLater(listener);
        },
        () => this.#left(listener),
      );
    }, ASK_EVERY);
  }

  #left(listener: ListenerLike | undefined): void {
    if (this.#over || this.#listener !== listener) return;
    clearTimeout(this.#timer);
    this.#listener = undefined;
    this.#epoch = undefined;
    this.#told = [];
    listener?.end().catch(() => undefined);
    this.#wakeAll();
    this.#timer = setTimeout(() => void this.#connect(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  #hear(notice: Notice): void {
    this.#count += 1;
    this.#told.push(notice);
    if (this.#told.length > 2 * REMEMBERED) this.#told = this.#told.slice(-REMEMBERED);
    const { keys } = notice;
    if (keys === undefined) {
      this.#wakeAll();
      return;
    }
    const wakes = new Set<Wake>();
    for (const key of keys) {
      for (const wake of this.#byName.get(key) ?? []) wakes.add(wake);
      for (const wake of this.#byName.get(queueOf(key) ?? '') ?? []) wakes.add(wake);
      for (const [wake, prefix] of this.#prefixes) if (key.startsWith(prefix)) wakes.add(wake);
    }
    for (const wake of wakes) wake(notice);
  }

  #wakeAll(): void {
    const wakes = new Set<Wake>(this.#prefixes.keys());
    for (const each of this.#byName.values()) for (const wake of each) wakes.add(wake);
    for (const wake of wakes) wake(ANYTHING);
  }
}

function isIn(key: string, interest: Interest): boolean {
  return 'keys' in interest ? interest.keys.includes(key) : key.startsWith(interest.prefix);
}
