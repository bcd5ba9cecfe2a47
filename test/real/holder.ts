import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from '../../src/testing/conformance/timing.ts';
import { spawnChild } from '../servers/child.ts';
import { program } from '../servers/program.ts';
import type { Store } from './stores.ts';

export interface HolderSettings {
  readonly store: Store;
  readonly address: string;
  readonly keys: readonly string[];
  readonly ttl: number;
  /** Its monotonic clock stands still while it is stopped, as if the whole machine were. */
  readonly suspended?: boolean;
}

/** What a holder can be asked. */
export type Question =
  /** Answers once every key is held. */
  | { readonly ask: 'hold' }
  /** Looks at its grants, and writes under them. */
  | { readonly ask: 'look' }
  /** Looks at its grants, and goes on looking until one is held or all are lost. */
  | { readonly ask: 'doubt' }
  /** Blocks its event loop while a renewal is on its way, until the file `gate` exists, and then looks. */
  | { readonly ask: 'stall'; readonly gate: string; readonly at: 'asked' | 'answered' };

/** What a holder believed at its first look after a stall. */
export interface Belief {
  /** How many grants said at the first look that they are held. */
  readonly held: number;
  /**
   * Milliseconds from the first turn of the event loop until the last signal had aborted, without those for which the
   * process had no processor.
   */
  readonly abortedAfter: number;
  /** How many guarded writes were accepted. */
  readonly accepted: number;
  /** How many grants said later that they are held. */
  readonly revived: number;
  /** What the renewal gave that the stall fell upon. */
  readonly renewal?: string;
}

/** What a holder did whose machine may have slept. */
export interface Doubt {
  readonly held: number;
  /** Of the renewals, from the first look until a grant was held again or all were lost. */
  readonly answers: readonly string[];
  readonly lost: number;
  /** Of the session, since the first look. */
  readonly states: readonly string[];
}

export interface Answers {
  readonly hold: { readonly tokens: readonly string[] };
  readonly look: Belief;
  readonly doubt: Doubt;
  readonly stall: Belief;
}

/** Milliseconds: longer than a session lives at a crowded Consul. */
const SILENT = 80_000;

const fixture = fileURLToPath(new URL('./holder-fixture.ts', import.meta.url));

/** A process of its own that holds locks. It can be stopped from outside, or be told to stall. */
export class Holder implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(settings: HolderSettings) {
    const args = ['--unhandled-rejections=strict', program(fixture), JSON.stringify(settings)];
    this.#child = spawnChild(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  async ask<Q extends Question>(question: Q): Promise<Answers[Q['ask']]> {
    const answered = once(this.#child, 'message');
    const exited = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`the holder ended with ${code ?? signal}`);
    });
    this.#child.send(question);
    // Which question it was is what a test that hangs does not tell.
    const [answer] = await within(
      SILENT,
      `an answer to ${JSON.stringify(question)}`,
      Promise.race([answered, exited]),
    );
    return answer as Answers[Q['ask']];
  }

  stop(): void {
    this.#child.kill('SIGSTOP');
  }

  wake(): void {
    this.#child.kill('SIGCONT');
  }

  /** It stops its manager, and ends by itself: with which code and signal. */
  async leave(): Promise<unknown[]> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    return await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
