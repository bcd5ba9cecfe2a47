import assert from 'node:assert/strict';
import { live, uniqueKey, until } from '../scenarios/world.ts';
import { replay } from '../testing/replay.ts';
import { Freezer } from './freezer.ts';
import { LockSetCrew } from './lock-set-crew.ts';
import { type ClientSettings, isGuarded, isInOrder, type Variant, variantsOn } from './lock-set-protocol.ts';
import { IncrementTable } from './lock-set-table.ts';
import { Tally } from './lock-set-tally.ts';
import { OutsideStore } from './outside-store.ts';
import { isOver, type RowOptions, type RowResult } from './row.ts';
import { type StoreName, worldOf } from './stores.ts';

export interface LockSetOptions extends RowOptions {
  /** How often, in each variant, a client is stopped between its read and its write until somebody else has written. */
  readonly count: number;
  readonly clients?: number;
  /** Default: all that the store has. */
  readonly variants?: readonly Variant[];
  /** How many clients are killed. */
  readonly kills?: number;
  /** What happens to the server, one after the other. */
  readonly disasters?: readonly (() => Promise<void>)[];
}

/** Milliseconds: the shortest of etcd. */
const TTL = 2_000;
const DEFAULT_CLIENTS = 5;
/** Milliseconds between two disasters, at most. */
const PAUSE = 3_000;
/** Milliseconds within which all goes on after a disaster. It only ends a run that fails. */
const BOUND = 60_000;

type Settings = Omit<ClientSettings, 'client'>;
type Tallies = ReadonlyMap<Variant, Tally>;

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
  const [stem, variants] = [uniqueKey('set'), options.variants ?? variantsOn(store)];
  const name = `increments_${stem.slice(0, stem.indexOf('/'))}`;
  await using table = store === 'postgres' ? await IncrementTable.create(address, name) : undefined;
  const outside = { tokens: tokens.url, unchecked: unchecked.url };
  const settings = { store, address, stem, ttl: TTL, variants, outside, table: name };
  const tallies: Tallies = new Map(variants.map((variant) => [variant, new Tally()]));
  const freezer = new Freezer(variants, options.count, (variant) => tallies.get(variant)?.largest ?? 0n);
  const killed = await work(settings, options, tallies, freezer);

  const count = async (variant: Variant): Promise<number> => {
    if (variant === 'tokens') return counted(tokens.value);
    if (variant === 'unchecked') return counted(unchecked.value);
    return variant === 'commit' ? counted(await recorded(settings)) : ((await table?.count(variant)) ?? 0);
  };
  let operations = 0;
  const told: string[] = [];
  const wrong: string[] = [];
  for (const [variant, tally] of tallies) {
    const verdict = replay(tally.seen).check();
    assert(verdict.ok, `${store}, ${variant}: ${verdict.ok ? '' : verdict.message}`);
    operations += verdict.operations;
    const [total, stopped] = [await count(variant), freezer.done.get(variant) ?? 0];
    const { accepted, refused, unknown } = tally.outcomes;
    const lost = tally.lost(total);
    told.push(`${variant}: ${lost} of ${accepted} increments lost, ${refused} refused, ${unknown} unknown`);
    if (isGuarded(variant)) {
      if (lost > 0) wrong.push(`${variant} has lost some`);
      if (total > accepted + unknown) wrong.push(`${variant} has more than were made`);
      // Each of those that somebody else overtook.
      if (refused + unknown < stopped) wrong.push(`${variant} took what came too late`);
    } else if (lost === 0) wrong.push(`${variant} has lost none`);
  }
  const stopped = [...freezer.done.values()].reduce((sum, done) => sum + done, 0);
  const figures =
    `lock set on ${store}: ${told.join('; ')}; stopped ${stopped} times between read and write and ${freezer.anywhere} times ` +
    `anywhere, for up to ${(freezer.longest / 1_000).toFixed(1)} s; ${killed} killed, ` +
    `${options.disasters?.length ?? 0} disasters; ${operations} operations in order`;
  assert.deepEqual(wrong, [], figures);
  return { done: acceptedOf(tallies), figures };
}

function acceptedOf(tallies: Tallies): number {
  return [...tallies.values()].reduce((sum, { outcomes }) => sum + outcomes.accepted, 0);
}

function counted(value: string | undefined): number {
  return Number(value?.split(' ')[0] ?? 0);
}

/** Resolves to how many clients were killed. */
async function work(
  settings: Settings,
  options: LockSetOptions,
  tallies: Tallies,
  freezer: Freezer,
): Promise<number> {
  const tallyOf = (variant: Variant): Tally => tallies.get(variant) as Tally;
  await using crew = new LockSetCrew(settings, options.clients ?? DEFAULT_CLIENTS, {
    told: (client, message) => {
      const tally = tallyOf(message.variant);
      if (message.tells === 'seen') tally.seen.push(message.seen);
      else if (message.tells === 'outcome') tally.ended(message.outcome, BigInt(message.token));
      else freezer.between(client, message.variant, BigInt(message.token));
      if (message.tells === 'outcome') options.onProgress?.(acceptedOf(tallies));
    },
    diedWriting: ({ variant, token }, seen) => {
      tallyOf(variant).ended('unknown', BigInt(token));
      if (isInOrder(variant)) tallyOf(variant).seen.push(seen);
    },
  });
  const goesOn = async (): Promise<void> => {
    const before = [...tallies.values()].map((tally) => [tally, tally.outcomes.accepted] as const);
    await until(() => before.every(([tally, accepted]) => tally.outcomes.accepted > accepted), BOUND);
  };
  const kills = Array.from({ length: options.kills ?? 0 }, () => () => crew.killAny());
  const harm = async (all: readonly (() => Promise<void>)[]): Promise<void> => {
    for (const each of all) {
      await goesOn();
      await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE));
      await each();
    }
    if (all.length > 0) await goesOn();
  };
  const over = Promise.all([
    freezer.run(crew.clients, () => isOver(options)),
    harm(kills),
    harm(options.disasters ?? []),
  ]);
  await Promise.race([over, crew.failure]);
  const { killed } = crew;
  await crew.stop();
  return killed;
}

/** What stands beside the lock at the end. */
async function recorded({ store, address, stem }: Settings): Promise<string | undefined> {
  await using operator = worldOf(store, address).backend();
  const { records } = await operator.query({ key: `${stem}/value` }, { signal: live });
  return records[0] && new TextDecoder().decode(records[0].value);
}
