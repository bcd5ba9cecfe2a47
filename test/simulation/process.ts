import { ProcessClock } from '../../src/testing/process-clock.ts';
import { SimulatedNetwork } from '../../src/testing/simulated-network.ts';
import { QUIET } from '../quiet.ts';
import { connect } from './connection.ts';
import type { Subject } from './subject.ts';
import { MARGIN, TTL } from './timing.ts';
import type { World } from './world.ts';

/** Milliseconds. */
const DEFAULT_WALL_LEAD = 1e6;

/** One process of the service: a manager, with clocks and a network of its own. */
export interface Process {
  readonly number: number;
  /** As its sessions are called. */
  readonly name: string;
  readonly clock: ProcessClock;
  readonly network: SimulatedNetwork;
  readonly sync: InstanceType<Subject['SyncManager']>;
  /** It is to give up what it does. */
  readonly stopping: AbortController;
  /** It knows that the store went back in time, and gets no lock any more. */
  noticed: boolean;
  /** How often it was frozen or asleep. */
  halts: number;
  dead: boolean;
}

export function spawn(world: World, number: number): Process {
  const { SyncManager, memory } = world.subject;
  const name = `p${number}`;
  const { wallLead = DEFAULT_WALL_LEAD } = world.system;
  // Within what the margin allows.
  const clock = new ProcessClock(world.clock, {
    rate: world.between(0.98, 1.02),
    wallLead: world.between(-wallLead, wallLead),
  });
  const network = new SimulatedNetwork(world.clock, clock, world.between(100, 450));
  const server = world.server.observed(memory({ store: world.store }), () => process);
  const backend = connect(world, () => process, network.connect(server), server);
  const session = { ttl: TTL, margin: MARGIN, lockDelay: world.lockDelay };
  const handOff = { limit: world.pick([0, 1, 3, 1_000]), within: world.between(20, 1_000) };
  const sync = new SyncManager({ name, backend, clock, session, handOff, logger: QUIET });
  const process: Process = {
    number,
    name,
    clock,
    network,
    sync,
    stopping: new AbortController(),
    halts: 0,
    dead: false,
    noticed: false,
  };
  sync.events$.subscribe((event) => {
    if (event.type === 'trouble' && codeOf(event.error) === 'store-reset') process.noticed = true;
  });
  return process;
}

function codeOf(error: unknown): string | undefined {
  return ((error ?? {}) as { readonly code?: string }).code;
}
