import { MemoryStore, memory } from 'holdfast/memory';
import {
  calm,
  conformance,
  LockHistory,
  LockInvariants,
  linearizable,
  ProcessClock,
  SimulatedNetwork,
  VirtualClock,
} from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { refused } from './refused.ts';

/** As from a program in JavaScript. */
const give = (value: unknown): never => value as never;

const world = new VirtualClock();
const clock = new ProcessClock(world);
const subject = {
  name: 'mine',
  open: () => memory(),
  prefix: () => 'p/',
  sessionTtl: 1_000,
  expiryFactor: 1,
} as const;
const network = (conditions: object) => {
  new SimulatedNetwork(world, clock, 100).conditions = give({ ...calm, ...conditions });
};
const holder = { client: 'a', token: 1n };
const nothing = {
  initial: 0,
  step: () => 0,
  key: () => '',
};

describe('E12: what is published for tests refuses a bad option, and one that nobody knows, by name', () => {
  test.each<[string, string, () => unknown]>([
    ['VirtualClock', 'sed', () => new VirtualClock(give({ sed: 1 }))],
    ['VirtualClock', 'options', () => new VirtualClock(give(null))],
    ['VirtualClock', 'seed', () => new VirtualClock({ seed: 1.5 })],
    ['VirtualClock', 'seed', () => new VirtualClock(give({ seed: '1' }))],
    ['VirtualClock', 'wall', () => new VirtualClock({ wall: Number.NaN })],
    ['VirtualClock', 'wall', () => new VirtualClock(give({ wall: new Date() }))],
    ['VirtualClock', 'ms', () => world.advance(Number.NaN)],
    ['VirtualClock', 'ms', () => world.advance(Number.POSITIVE_INFINITY)],
    ['VirtualClock', 'ms', () => world.advance(-1)],
    ['VirtualClock', 'ms', () => world.stall(give(undefined))],
    ['VirtualClock', 'ms', () => world.jumpWall(Number.NaN)],
    ['VirtualClock', 'ms', () => world.after(Number.NaN, () => {})],
    ['VirtualClock', 'task', () => world.after(1, give(undefined))],
    ['VirtualClock', 'condition', () => world.runUntil(give(true))],
    ['VirtualClock', 'limit', () => world.runUntil(() => false, Number.NaN)],
    ['ProcessClock', 'world', () => new ProcessClock(give({ now: () => 0 }))],
    ['ProcessClock', 'rat', () => new ProcessClock(world, give({ rat: 1 }))],
    ['ProcessClock', 'rate', () => new ProcessClock(world, { rate: 0 })],
    ['ProcessClock', 'wallLead', () => new ProcessClock(world, { wallLead: Number.NaN })],
    ['ProcessClock', 'by', () => clock.setWall(Number.NaN)],
    ['SimulatedNetwork', 'world', () => new SimulatedNetwork(give(clock), clock, 100)],
    ['SimulatedNetwork', 'process', () => new SimulatedNetwork(world, give(world), 100)],
    ['SimulatedNetwork', 'timeout', () => new SimulatedNetwork(world, clock, 0)],
    ['SimulatedNetwork', 'timeout', () => new SimulatedNetwork(world, clock, give(undefined))],
    ['SimulatedNetwork', 'cut', () => network({ cut: 'all' })],
    ['SimulatedNetwork', 'lose', () => network({ lose: 1 })],
    ['SimulatedNetwork', 'loseRequest', () => network({ loseRequest: 1.1 })],
    ['SimulatedNetwork', 'repeat', () => network({ repeat: undefined })],
    ['SimulatedNetwork', 'delay', () => network({ delay: 5 })],
    ['SimulatedNetwork', 'delay', () => network({ delay: [2, 1] })],
    ['SimulatedNetwork', 'replyDelay', () => network({ replyDelay: [-1, 1] })],
    ['LockHistory', 'clock', () => new LockHistory(give({ clock: world }))],
    ['LockHistory', 'now', () => new LockHistory(give({ now: 5 }))],
    ['LockHistory', 'value', () => new LockHistory(give({ value: 5 }))],
    ['LockHistory', 'belief', () => new LockHistory().check(give({ belief: false }))],
    ['LockHistory', 'beliefs', () => new LockHistory().check(give({ beliefs: 'no' }))],
    ['LockInvariants', 'clock', () => new LockInvariants(give({ clock: world }))],
    ['LockInvariants', 'now', () => new LockInvariants(give({ now: 5 }))],
    ['LockInvariants', 'operated', () => new LockInvariants(give({ operated: 1 }))],
    ['LockInvariants', 'token', () => new LockInvariants().granted(give({ client: 'a', token: 5 }))],
    ['LockInvariants', 'token', () => new LockInvariants().accepted(give({ client: 'a' }))],
    ['LockInvariants', 'told', () => new LockInvariants().handedOn(holder, Number.NaN)],
    ['linearizable', 'steps', () => new LockHistory().check({ steps: 0 })],
    ['linearizable', 'step', () => linearizable(nothing, [], give({ step: 5 }))],
    ['conformance', 'ttl', () => conformance(give({ ...subject, ttl: 5 }))],
    ['conformance', 'name', () => conformance(give({ ...subject, name: undefined }))],
    ['conformance', 'open', () => conformance(give({ ...subject, open: memory() }))],
    ['conformance', 'prefix', () => conformance(give({ ...subject, prefix: 'p/' }))],
    ['conformance', 'sessionTtl', () => conformance({ ...subject, sessionTtl: 0 })],
    ['conformance', 'sessionTtl', () => conformance(give({ ...subject, sessionTtl: '1s' }))],
    ['conformance', 'expiryFactor', () => conformance(give({ ...subject, expiryFactor: 3 }))],
    ['conformance', 'lockDelay', () => conformance({ ...subject, lockDelay: -1 })],
    ['conformance', 'patience', () => conformance({ ...subject, patience: Number.NaN })],
    ['memory', 'options', () => memory(give(null))],
    ['memory', 'options', () => new MemoryStore(give(5))],
    ['memory', 'store', () => memory(give({ store: null }))],
  ])('%s: %s', async (part, name, call) => {
    const told = (async () => call())();
    await expect(told).rejects.toThrow(refused(name));
    await expect(told).rejects.toThrow(new RegExp(`^${part} option "${name}" .*[^.]$`));
  });

  test('what was refused has changed nothing', () => {
    expect([world.now(), world.pending]).toEqual([0, 0]);
  });
});

test('the conditions of a simulated network are its own: nobody else’s object changes them', () => {
  const mine = { ...calm, repeat: 0.5 };
  const one = new SimulatedNetwork(world, clock, 100);
  one.conditions = mine;
  mine.repeat = 1;
  expect(one.conditions.repeat).toBe(0.5);
});
