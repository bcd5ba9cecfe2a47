import assert from 'node:assert/strict';
import { live, uniqueKey } from '../scenarios/world.ts';
import { replay, type Seen } from '../testing/replay.ts';
import { Freezer } from './freezer.ts';
import { LockSetClient } from './lock-set-client.ts';
import { type ClientSettings, type Outcome, type Variant, variants } from './lock-set-protocol.ts';
import { OutsideStore } from './outside-store.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';
import { type StoreName, worldOf } from './stores.ts';

export interface LockSetOptions extends RowOptions {
  /** How often, in each variant, a client is stopped between its read and its write until somebody else has written. */
  readonly count: number;
  readonly clients?: number;
}

/** Milliseconds: the shortest of etcd. */
const TTL = 2_000;
const DEFAULT_CLIENTS = 5;

type Settings = Omit<ClientSettings, 'client'>;

type Tallies = Readonly<Record<Variant, Tally>>;

class Tally {
  readonly seen: Seen[] = [];
  readonly outcomes: Record<Outcome, number> = { accepted: 0, refused: 0, unknown: 0 };
  /** Of an accepted write. */
  largest = 0n;

  ended(outcome: Outcome, token: bigint): void {
    this.outcomes[outcome]++;
    if (outcome === 'accepted' && token > this.largest) this.largest = token;
  }

  /** Acknowledged increments that the value at the end lacks. */
  lost(value: string | undefined): number {
    return Math.max(0, this.outcomes.accepted - counted(value));
  }
}

function accepted(tallies: Tallies): number {
  return variants.reduce((sum, variant) => sum + tallies[variant].outcomes.accepted, 0);
}

function counted(value: string | undefined): number {
  return Number(value?.split(' ')[0] ?? 0);
}

/**
 * Jepsen's lock set: processes read a value, increment it and write it back under a lock, and are stopped for up to 5 s
 * in the middle. Where the token is checked, no acknowledged increment is lost; where it is not, some are. And no
 * history of a lock shows what a fenced lock cannot.
 */
export async function lockSet(
  store: StoreName,
  address: string,
  options: LockSetOptions,
): Promise<RowResult> {
  await using tokens = await OutsideStore.open({ checks: true });
  await using unchecked = await OutsideStore.open({ checks: false });
  const outside = { tokens: tokens.url, unchecked: unchecked.url };
  const settings = { store, address, stem: uniqueKey('set'), ttl: TTL, outside };
  const tallies = { commit: new Tally(), tokens: new Tally(), unchecked: new Tally() };
  const freezer = new Freezer(options.count, (variant) => tallies[variant].largest);
  await work(settings, options, tallies, freezer);

  const values = { commit: await written(settings), tokens: tokens.value, unchecked: unchecked.value };
  let operations = 0;
  for (const variant of variants) {
    const verdict = replay(tallies[variant].seen).check();
    assert(verdict.ok, `${store}, ${variant}: ${verdict.ok ? '' : verdict.message}`);
    operations += verdict.operations;
  }
  const told = variants.map((variant) => {
    const { accepted, refused, unknown } = tallies[variant].outcomes;
    const lost = tallies[variant].lost(values[variant]);
    return `${variant}: ${lost} of ${accepted} increments lost, ${refused} refused, ${unknown} unknown`;
  });
  const stopped = variants.reduce((sum, variant) => sum + freezer.done[variant], 0);
  const figures =
    `lock set on ${store}: ${told.join('; ')}; stopped ${stopped} times between read and write and ${freezer.anywhere} times ` +
    `anywhere, for up to ${(freezer.longest / 1_000).toFixed(1)} s; ${operations} operations in order`;
  for (const variant of ['commit', 'tokens'] as const) {
    const { accepted, refused, unknown } = tallies[variant].outcomes;
    assert.equal(tallies[variant].lost(values[variant]), 0, figures);
    assert(counted(values[variant]) <= accepted + unknown, figures);
    // Each of those that somebody else overtook.
    assert(refused + unknown >= freezer.done[variant], figures);
  }
  assert(tallies.unchecked.lost(values.unchecked) > 0, figures);
  return { done: accepted(tallies), figures };
}

async function work(
  settings: Settings,
  options: LockSetOptions,
  tallies: Tallies,
  freezer: Freezer,
): Promise<void> {
  const clients = Array.from(
    { length: options.clients ?? DEFAULT_CLIENTS },
    (_, number) =>
      new LockSetClient({ ...settings, client: `c${number}` }, (client, message) => {
        const tally = tallies[message.variant];
        if (message.tells === 'seen') tally.seen.push(message.seen);
        else if (message.tells === 'outcome') tally.ended(message.outcome, BigInt(message.token));
        else freezer.between(client, message.variant, BigInt(message.token));
        if (message.tells === 'outcome') options.onProgress?.(accepted(tallies));
      }),
  );
  try {
    const ended = clients.map(async ({ name, left }) => {
      const { code, complaint } = await left;
      throw new Error(`${name} ended with ${code}: ${complaint}`);
    });
    await Promise.race([freezer.run(clients, () => isOver(options)), ...ended]);
    for (const client of clients) client.tell('stop');
    for (const { name, left } of clients) {
      assert.deepEqual({ name, ...(await left) }, { name, code: 0, complaint: '' });
    }
  } finally {
    await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  }
}

/** What stands there at the end. */
async function written({ store, address, stem }: Settings): Promise<string | undefined> {
  await using operator = worldOf(store, address).backend();
  const { records } = await operator.query({ key: `${stem}/value` }, { signal: live });
  return records[0] && new TextDecoder().decode(records[0].value);
}
