import type { Process } from './process.ts';
import { TTL } from './timing.ts';
import type { World } from './world.ts';

/** One thing that goes wrong. Gives back what it did, for the trace. */
type Harm = (world: World, process: Process) => string | undefined;

const network: Harm[] = [
  (world, process) => {
    const loss = { loseRequest: world.between(0, 0.5), loseReply: world.between(0, 0.5) };
    world.setNetwork(process, loss);
    return `loses ${loss.loseRequest.toFixed(2)} requests, ${loss.loseReply.toFixed(2)} replies`;
  },
  (world, process) => {
    const cut = world.pick(['both', 'requests', 'replies'] as const);
    world.setNetwork(process, { cut });
    return `is cut off: ${cut}`;
  },
  (world, process) => {
    const most = world.between(20, 300);
    world.setNetwork(process, { delay: [0, most], repeat: 0.3 });
    return `has a slow network that repeats, up to ${most.toFixed(0)} ms`;
  },
  (world, process) => {
    world.setNetwork(process, { replyDelay: [60, 150] });
    world.clock.after(world.between(100, 400), () => world.setNetwork(process, { cut: 'both' }));
    return 'hears everything late, and then nothing';
  },
  (world, process) => {
    world.setNetwork(process, {});
    return 'has a network again';
  },
  (_, process) => {
    process.network.reset();
    return 'has its connections reset';
  },
  (world, process) => {
    world.setNetwork(process, { delay: [0, 300] });
    world.clock.after(world.between(50, 300), () => process.network.reset());
    return 'has a slow network, and then its connections reset';
  },
];

const server: Harm[] = [
  (world) => {
    const downtime = world.between(1, 700);
    world.server.restart(downtime);
    return `sees the server restart, as do all, down for ${downtime.toFixed(0)} ms`;
  },
];

const machine: Harm[] = [
  (world, process) => {
    process.clock.freeze();
    process.halts += 1;
    world.clock.after(world.between(10, 3 * TTL), () => process.clock.wake(() => world.look()));
    return 'is frozen';
  },
  (world, process) => {
    if (world.alive.length < 2 || world.chance(0.6)) return undefined;
    process.dead = true;
    process.clock.kill();
    return 'crashes';
  },
];

const doubt: Harm[] = [
  (world, process) => {
    if (world.maySetBack) return undefined;
    process.clock.sleep();
    process.halts += 1;
    world.clock.after(world.between(10, 3 * TTL), () => process.clock.wake(() => world.look()));
    return 'sleeps';
  },
  (world, process) => {
    if (!process.clock.running) return undefined;
    world.wallsWereSet = true;
    process.clock.setWall(world.maySetBack ? world.pick([-3_600_000, 3_600_000]) : 3_600_000);
    return 'has its wall clock set';
  },
];

const operator: Harm[] = [
  (world) => {
    const [session] = world.store.sessions();
    if (session) world.store.destroySession(session.id);
    return session && `session ${session.id} is destroyed`;
  },
  (world) => {
    const record = world.store.records().find(({ session }) => session !== undefined);
    if (record) world.store.commit({ when: [], then: [{ remove: record.key }] });
    return record && `record ${record.key} is deleted`;
  },
  (world) => {
    const record = world.store.records().find(({ session }) => session !== undefined);
    if (record) world.store.commit({ when: [], then: [{ put: record.key, value: Buffer.from('mine') }] });
    return record && `record ${record.key} is overwritten`;
  },
];

const copies: Harm[] = [
  (world) => {
    world.server.keepCopy();
    return 'sees a copy of the store being made';
  },
  (world) => {
    if (!world.server.restore()) return undefined;
    // Whoever could clean up, or has just put something, hears little of it.
    const loss = world.chance(0.7) ? { loseRequest: world.between(0, 0.3), loseReply: 0.6 } : {};
    for (const each of world.alive) world.setNetwork(each, loss);
    return 'sees the store being restored from a copy, as do all';
  },
];

/** Harms somebody every now and then, until `end` of true time. */
export function unleash(world: World, end: number): void {
  const next = (): void => {
    if (world.clock.now() >= end) return;
    const process = world.pick(world.alive);
    const kinds = [
      network,
      network,
      machine,
      machine,
      ...(world.chance(0.3) ? [server] : []),
      ...(world.mayDoubt ? [doubt] : []),
      ...(world.mayOperate ? [operator] : []),
      ...(world.mayRestore ? [copies, copies] : []),
    ];
    const what = world.pick(world.pick(kinds))(world, process);
    if (what !== undefined) world.note(() => `-- p${process.number} ${what}`);
    world.clock.after(world.between(20, 400), next);
  };
  world.clock.after(world.between(0, 200), next);
}

/** Takes back every harm that can be taken back. */
export function heal(world: World): void {
  world.note(() => '-- everything is well again');
  world.well = true;
  world.server.comeUp();
  const { workload } = world;
  // A plain record in a queue or in the place of another one is for its operator to remove: it keeps everybody out, and everybody is told.
  for (const { key, session } of world.store.records()) {
    if (session === undefined && (key.includes('/.lock/') || workload.isInTheWay?.(key))) {
      world.store.commit({ when: [], then: [{ remove: key }] });
    }
  }
  for (const process of world.alive) {
    process.clock.wake(() => world.look());
    world.setNetwork(process, {});
  }
}
