import assert from 'node:assert/strict';
import type { Seen } from '../testing/replay.ts';
import { LockSetClient } from './lock-set-client.ts';
import type { ClientSettings, Message } from './lock-set-protocol.ts';

type Between = Extract<Message, { tells: 'between' }>;

export interface CrewListener {
  told(client: LockSetClient, message: Message): void;
  /** A client is gone that was about to write this, or had written it. */
  diedWriting(write: Between, seen: Seen): void;
}

/** The processes of a lock set. In the place of one that is killed comes another one. */
export class LockSetCrew implements AsyncDisposable {
  readonly clients: LockSetClient[] = [];
  /** Rejects when one of them ends that nobody told to. */
  readonly failure: Promise<never>;
  readonly #settings: Omit<ClientSettings, 'client'>;
  readonly #listener: CrewListener;
  readonly #writing = new Map<LockSetClient, Map<string, Between>>();
  readonly #fail: (error: Error) => void;
  #born = 0;

  constructor(settings: Omit<ClientSettings, 'client'>, size: number, listener: CrewListener) {
    this.#settings = settings;
    this.#listener = listener;
    let fail = (_: Error): void => {};
    this.failure = new Promise<never>((_, reject) => {
      fail = reject;
    });
    this.failure.catch(() => undefined);
    this.#fail = fail;
    while (this.clients.length < size) this.#spawn();
  }

  /** How many were killed. */
  get killed(): number {
    return this.#born - this.clients.length;
  }

  /** Kills one of them, whatever it does. */
  async killAny(): Promise<void> {
    const at = Math.floor(Math.random() * this.clients.length);
    const [client] = this.clients.splice(at, 1);
    if (client === undefined) return;
    await client.kill();
    for (const write of this.#writing.get(client)?.values() ?? []) {
      const step = ['write?', write.token, write.value] as const;
      this.#listener.diedWriting(write, { from: write.at, to: write.at, client: client.name, step });
    }
    this.#spawn();
  }

  /** Each of them ends in good order. */
  async stop(): Promise<void> {
    const clients = this.clients.splice(0);
    for (const client of clients) client.tell('stop');
    for (const { name, left } of clients) {
      assert.deepEqual({ name, ...(await left) }, { name, code: 0, complaint: '' });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.splice(0).map((client) => client[Symbol.asyncDispose]()));
  }

  #spawn(): void {
    const writing = new Map<string, Between>();
    const name = `c${this.#born++}`;
    const client = new LockSetClient({ ...this.#settings, client: name }, (from, message) => {
      if (message.tells === 'between') writing.set(message.variant, message);
      if (message.tells === 'outcome') writing.delete(message.variant);
      this.#listener.told(from, message);
    });
    this.#writing.set(client, writing);
    this.clients.push(client);
    void client.left.then(({ code, complaint }) => {
      if (this.clients.includes(client)) this.#fail(new Error(`${name} ended with ${code}: ${complaint}`));
    });
  }
}
