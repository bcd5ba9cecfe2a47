// Run as a process: holds locks, is stopped or stalls in the middle of it, and tells what it believes when it goes on.

import { existsSync } from 'node:fs';
import { type Grant, isSyncError, SyncManager, systemClock } from 'holdfast';
import { waited } from '../waited.ts';
import type { Belief, Doubt, HolderSettings, Question } from './holder.ts';
import { connectTo } from './stores.ts';
import { suspendedClock } from './suspended-clock.ts';

type Stall = Extract<Question, { ask: 'stall' }>;

/** Milliseconds. How often there is a turn of the event loop at least, and how long a gap between two is a stall. */
const BEAT = 5;
const STALL = 1_000;
/** How long a request is on its way before the event loop blocks, in milliseconds: it is sent, and not yet answered. */
const ON_ITS_WAY = 30;

const { store, address, keys, ttl, suspended } = JSON.parse(process.argv[2] ?? '') as HolderSettings;
const backend = connectTo(store, address);
const sync = new SyncManager({
  name: 'holder',
  backend,
  session: { ttl, lockDelay: 0 },
  clock: suspended ? suspendedClock() : systemClock,
});
const answers: string[] = [];
const states: string[] = [];
sync.session$.subscribe(({ name }) => states.push(name));

interface Turn {
  readonly at: number;
  readonly waited: number;
}
let lastTurn = performance.now();
/** The first turn after the last stall. */
let woken: Turn = { at: 0, waited: 0 };
function turn(): Turn {
  const now: Turn = { at: performance.now(), waited: waited() };
  if (now.at - lastTurn > STALL) woken = now;
  lastTurn = now.at;
  return now;
}
/** Milliseconds from that turn to this one, without those that a busy machine adds. */
function sinceWoken(now: Turn): number {
  return Math.max(0, now.at - woken.at - (now.waited - woken.waited));
}
setInterval(turn, BEAT).unref();

interface Held {
  readonly grant: Grant;
  readonly aborted: Promise<Turn>;
}
let holdings: Held[] = [];
let heldAt = 0;

async function hold(): Promise<{ tokens: string[] }> {
  const grants = await Promise.all(keys.map((key) => sync.lock(key).lock()));
  heldAt = performance.now();
  holdings = grants.map((grant) => ({
    grant,
    aborted: new Promise((resolve) => grant.signal.addEventListener('abort', () => resolve(turn()))),
  }));
  return { tokens: grants.map(({ token }) => String(token)) };
}

const held = (): number => holdings.filter(({ grant }) => grant.held).length;

async function write({ grant }: Held): Promise<boolean> {
  const then = [{ put: `${grant.key}/data`, value: 'stale' }];
  for (;;) {
    try {
      return (await sync.commit({ when: [grant.isOwner], then })).ok;
    } catch (error) {
      // A crowded machine: whoever has no answer asks again.
      if (!isSyncError(error, 'unavailable')) throw error;
    }
  }
}

async function look(): Promise<Belief> {
  const now = turn();
  // On a very busy machine a lock can be lost before the stall, which then is a short one.
  if (woken.at < heldAt) woken = now;
  const first = held();
  const aborted = await Promise.all(holdings.map((holding) => holding.aborted));
  const abortedAfter = Math.max(...aborted.map(sinceWoken));
  const written = await Promise.all(holdings.map(write));
  return { held: first, abortedAfter, accepted: written.filter((ok) => ok).length, revived: held() };
}

async function doubt(): Promise<Doubt> {
  const [answersBefore, statesBefore] = [answers.length, states.length];
  const first = held();
  const lost = (): number => holdings.filter(({ grant }) => grant.signal.aborted).length;
  while (held() === 0 && lost() < holdings.length) await new Promise((resolve) => setImmediate(resolve));
  const verified = answers.slice(answersBefore);
  // The session is told of, and all grants are, in the same turn.
  await new Promise((resolve) => setImmediate(resolve));
  return { held: first, answers: verified, lost: lost(), states: states.slice(statesBefore) };
}

let stall: { readonly question: Stall; readonly done: (belief: Promise<Belief>) => void } | undefined;

function block({ gate, at }: Stall): void {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  // Once by work and once by waiting.
  while (!existsSync(gate)) if (at === 'asked') Atomics.wait(cell, 0, 0, 5);
}

const renew = backend.renewSession.bind(backend);
backend.renewSession = async (id, signal) => {
  const current = stall;
  stall = undefined;
  const asked = renew(id, signal);
  if (current?.question.at === 'asked') {
    setTimeout(() => {
      block(current.question);
      current.done(look());
    }, ON_ITS_WAY);
  }
  let answer: 'renewed' | 'gone';
  try {
    answer = await asked;
  } catch (error) {
    // A busy machine: the next renewal will do as well.
    if (current?.question.at === 'answered') stall = current;
    throw error;
  }
  if (current?.question.at === 'answered') {
    block(current.question);
    current.done(look().then((belief) => ({ ...belief, renewal: answer })));
  }
  answers.push(answer);
  return answer;
};

function reply(question: Question): Promise<unknown> {
  switch (question.ask) {
    case 'hold':
      return hold();
    case 'look':
      return look();
    case 'doubt':
      return doubt();
    case 'stall':
      return new Promise((resolve) => {
        stall = { question, done: resolve };
      });
  }
}

process.on('message', async (question: Question) => {
  process.send?.(await reply(question));
});
process.once('disconnect', () => sync.stop());
