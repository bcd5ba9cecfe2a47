import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Window } from '../../src/async/window.ts';
import { type Batched, Batcher } from '../../src/backends/kit/batcher.ts';
import type { Footprint } from '../../src/backends/kit/footprint.ts';

const LIMITS = { cost: 3, bytes: 100 };

class Ask implements Batched {
  asked = 0;
  isOver = false;
  readonly urgent: boolean;
  readonly footprint: Footprint;

  constructor(
    key: string,
    { urgent = false, cost = 1, bytes = 1, prefix = undefined as string | undefined } = {},
  ) {
    this.urgent = urgent;
    this.footprint = { keys: [key], cost, bytes, prefix };
  }

  givenUp(): boolean {
    this.asked++;
    return this.isOver;
  }
}

const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

describe('what is issued together', () => {
  let sent: string[][];
  let done: (() => void)[];
  let batcher: Batcher<Ask>;

  beforeEach(() => {
    sent = [];
    done = [];
    batcher = new Batcher(new Window(2), LIMITS, (members, over) => {
      sent.push(members.map(({ footprint }) => footprint.keys[0] ?? ''));
      done.push(over);
    });
  });

  const send = (ask: Ask): void => batcher.add(ask, ask.footprint);
  const add = (...keys: string[]): Ask[] =>
    keys.map((key) => {
      const ask = new Ask(key);
      send(ask);
      return ask;
    });

  test('goes together up to the limits, and not before the turn of microtasks is over', async () => {
    add('a', 'b', 'c', 'd');
    expect(sent).toEqual([]);
    await turn();
    expect(sent).toEqual([['a', 'b', 'c'], ['d']]);
  });

  test('A1: waits beyond the window, and takes in what comes meanwhile', async () => {
    const first = add('a', 'b', 'c', 'd', 'e', 'f', 'g');
    await turn();
    expect(sent).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ]);
    const [late] = add('h');
    await turn();
    expect(sent).toHaveLength(2);
    // Who waits is asked whether it was given up, and so is who travels with others.
    const before = [...first, late].map((ask) => ask?.asked ?? 0);
    await vi.waitFor(() =>
      [...first, late].forEach((ask, n) => void expect(ask?.asked).toBeGreaterThan(before[n] ?? 0)),
    );
    done[0]?.();
    done[0]?.();
    expect(sent[2]).toEqual(['g', 'h']);
    expect(sent).toHaveLength(3);
  });

  test('A1: what a hold depends on goes ahead of what would only like to hold', async () => {
    add('a', 'b', 'c', 'd', 'e', 'f', 'waits');
    await turn();
    send(new Ask('look', { urgent: true }));
    await turn();
    done[0]?.();
    expect(sent.slice(2)).toEqual([['look']]);
    done[1]?.();
    expect(sent.slice(2)).toEqual([['look'], ['waits']]);
  });

  test('leaves out who gave up, and sends nothing for nobody', async () => {
    add('a', 'b', 'c', 'd', 'e', 'f');
    const [g, h] = add('g', 'h');
    const nobody = new Ask('nobody', { cost: 3 });
    send(nobody);
    add('last');
    await turn();
    for (const ask of [g, nobody]) if (ask) ask.isOver = true;
    expect(h?.isOver).toBe(false);
    done[0]?.();
    expect(sent.at(-1)).toEqual(['h', 'last']);
    done[2]?.();
    done[1]?.();
    expect(sent).toHaveLength(3);
    add('next', 'other');
    await turn();
    expect(sent.at(-1)).toEqual(['next', 'other']);
  });

  test('never two for one key, nor one below the prefix of another', async () => {
    add('a', 'a');
    send(new Ask('b/own', { prefix: 'b/' }));
    add('b/x');
    await turn();
    for (const members of sent) expect(new Set(members).size).toBe(members.length);
    expect(sent.some((members) => members.includes('b/own') && members.includes('b/x'))).toBe(false);
    for (const over of [...done]) over();
    expect(sent.flat().toSorted()).toEqual(['a', 'a', 'b/own', 'b/x']);
  });

  test('by itself, one waits for its turn as the others do, and is not sent once it is given up', async () => {
    const [first, second] = [new Ask('first'), new Ask('second')];
    for (const ask of [first, second]) batcher.alone(ask);
    expect(sent).toEqual([['first'], ['second']]);
    const [third, fourth] = [new Ask('third'), new Ask('fourth')];
    for (const ask of [third, fourth]) batcher.alone(ask);
    await vi.waitFor(() => void expect(Math.min(third.asked, fourth.asked)).toBeGreaterThan(1));
    expect(Math.min(first.asked, second.asked)).toBeGreaterThan(1);
    third.isOver = true;
    done[0]?.();
    expect(sent.slice(2)).toEqual([['fourth']]);
  });

  test('the timer that asks keeps no process alive, and ends when there is nobody to ask', async () => {
    const platform = await vi.importActual<typeof import('../../src/async/platform.ts')>(
      '../../src/async/platform.ts',
    );
    const timers = { setInterval: vi.fn(platform.setInterval), clearInterval: vi.fn(platform.clearInterval) };
    vi.resetModules();
    vi.doMock('../../src/async/platform.ts', () => ({ ...platform, ...timers }));
    const { Batcher: Fresh } = await import('../../src/backends/kit/batcher.ts');
    const over: (() => void)[] = [];
    const fresh = new Fresh<Ask>(new Window(2), LIMITS, (_, done) => void over.push(done));
    const asks = [new Ask('a'), new Ask('b')];
    for (const ask of asks) fresh.add(ask, ask.footprint);
    await turn();
    expect(timers.setInterval).toHaveBeenCalledOnce();
    const timer = timers.setInterval.mock.results[0]?.value as NodeJS.Timeout;
    expect(timer.hasRef()).toBe(false);
    over.shift()?.();
    await vi.waitFor(() => expect(timers.clearInterval).toHaveBeenCalledWith(timer));
    const asked = asks.map((ask) => ask.asked);
    fresh.add(new Ask('c'), new Ask('c').footprint);
    await turn();
    expect(timers.setInterval).toHaveBeenCalledTimes(2);
    expect(asks.map((ask) => ask.asked)).toEqual(asked);
    over.shift()?.();
    await vi.waitFor(() => expect(timers.clearInterval).toHaveBeenCalledTimes(2));
    vi.doUnmock('../../src/async/platform.ts');
  });

  test('thousands that were given up while they waited do not stand on one another', () => {
    const first = new Ask('first');
    const others = Array.from({ length: 50_000 }, (_, n) => new Ask(`k${n}`));
    for (const ask of [first, new Ask('second'), ...others, new Ask('last')]) batcher.alone(ask);
    for (const ask of others) ask.isOver = true;
    done[0]?.();
    expect(sent).toEqual([['first'], ['second'], ['last']]);
  });

  test('what is larger than the limit goes by itself', async () => {
    send(new Ask('large', { cost: 7, bytes: 1_000 }));
    add('small');
    await turn();
    expect(sent).toEqual([['large'], ['small']]);
  });
});
