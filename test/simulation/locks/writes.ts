import type { CommitResult, Condition, Grant } from 'holdfast';
import type { Process } from '../process.ts';
import type { World } from '../world.ts';
import type { LockWorkload } from './workload.ts';

/** Beside each lock, what only its holder writes. */
export const DATA = '/data';

/** What is written says under which grant, and for the how-manieth time. */
const written = ({ token }: Grant, round: number): string => `${token}.${round}`;
export const tokenIn = (value: string): bigint => BigInt(value.split('.')[0] ?? '');

/** A write that the store must refuse once another grant was made; and sometimes a look at what stands there. */
export async function write(workload: LockWorkload, process: Process, grant: Grant): Promise<void> {
  const { world } = workload;
  const { name, sync, network } = process;
  const { key, token } = grant;
  const history = workload.history(key);
  const data = key + DATA;
  const value = written(grant, world.nextNumber());
  // Asked twice and heard of the second time only, a refusal says nothing about the first.
  const { repeat } = network.conditions;
  const writing = history.writing(name, token, value);
  const result = await sync.commit({ when: [proofOf(world, grant)], then: [{ put: data, value }] });
  if (result.ok) writing.accepted();
  else if (repeat === 0) writing.refused();
  if (world.chance(0.5)) return;
  const reading = history.reading(name);
  const { read } = (await sync.commit({ read: { key: data } })) as Extract<CommitResult, { ok: true }>;
  const text = read?.[0]?.value;
  reading.got(text === undefined ? undefined : Buffer.from(text).toString());
}

/** As it was given, or as it comes out of somewhere else: what counts is what it says. */
function proofOf(world: World, { isOwner }: Grant): Condition {
  if (world.chance(0.8)) return isOwner;
  const { key, revision, handOff } = isOwner;
  // Of who acquired it from the store, that is all there is to say.
  return handOff === 0 ? { key, revision } : structuredClone(isOwner);
}
