import fc from 'fast-check';
import { linearizable, type Model, type Operation } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { processorMs } from './processor.ts';

type Action = { readonly write: number } | 'increment' | 'read';
type Call = Operation<Action, number>;

/** A number that is written, incremented and read; an increment answers with what it was before. */
const register: Model<number, Action, number> = {
  initial: 0,
  step: (state, { input, output }) => {
    if (typeof input === 'object') return input.write;
    if (output !== undefined && output !== state) return undefined;
    return input === 'increment' ? state + 1 : state;
  },
  key: String,
};

const call = (from: number, to: number | undefined, input: Action, output?: number): Call => ({
  client: 'c',
  call: from,
  input,
  ...(to !== undefined && { return: to }),
  ...(output !== undefined && { output }),
});

describe('linearizable', () => {
  test.each<[string, boolean, Call[]]>([
    ['nothing', true, []],
    ['one after the other', true, [call(0, 1, { write: 5 }), call(2, 3, 'read', 5)]],
    ['a read of the past', false, [call(0, 1, { write: 5 }), call(2, 3, 'read', 0)]],
    ['a read while it is written', true, [call(0, 3, { write: 5 }), call(1, 2, 'read', 0)]],
    ['touching counts as at once', true, [call(0, 1, { write: 5 }), call(1, 2, 'read', 0)]],
    ['there and back again', false, [call(0, 5, { write: 5 }), call(1, 2, 'read', 5), call(3, 4, 'read', 0)]],
    [
      'a lost increment',
      false,
      [call(0, 3, 'increment', 0), call(1, 4, 'increment', 0), call(5, 6, 'read', 1)],
    ],
    ['an unknown one that took effect', true, [call(0, undefined, { write: 5 }), call(1, 2, 'read', 5)]],
    ['an unknown one that did not', true, [call(0, undefined, { write: 5 }), call(1, 2, 'read', 0)]],
    [
      'an unknown one that took effect late',
      true,
      [call(0, undefined, { write: 5 }), call(1, 2, 'read', 0), call(3, 4, 'read', 5)],
    ],
    ['an unknown one before it was called', false, [call(0, 1, 'read', 5), call(2, undefined, { write: 5 })]],
    [
      'an unknown one that took effect twice',
      false,
      [call(0, undefined, 'increment'), call(1, 2, { write: 3 }), call(3, 4, 'read', 5)],
    ],
  ])('%s: %s', (_, ok, operations) => {
    expect(linearizable(register, operations).ok).toBe(ok);
  });

  test('tells how far it came, and what was in the way', () => {
    const [write, read] = [call(0, 1, { write: 5 }), call(2, 3, 'read', 7)];
    expect(linearizable(register, [read, write])).toEqual({
      ok: false,
      why: 'impossible',
      longest: [write],
      state: 5,
      blocked: [read],
    });
  });

  test('gives up where there is too much to try', () => {
    // Any subset of the increments may have happened when the impossible read comes.
    const writes = Array.from({ length: 30 }, (_, number) => call(0, undefined, { write: number }));
    const result = linearizable(register, [...writes, call(1, 2, 'read', 99)], { steps: 10_000 });
    expect(result).toEqual({ ok: false, why: 'undecided', steps: 10_000 });
  });

  test('agrees with trying every order', () => {
    const action = fc.oneof(
      fc.constant<Action>('increment'),
      fc.constant<Action>('read'),
      fc.nat(2).map((write): Action => ({ write })),
    );
    const operation = fc
      .record({ from: fc.nat(6), length: fc.nat(5), action, output: fc.nat(2), known: fc.nat(3) })
      .map(({ from, length, action: input, output, known }) =>
        known === 0
          ? call(from, undefined, input)
          : call(from, from + length, input, typeof input === 'object' ? undefined : output),
      );
    const verdicts = { yes: 0, no: 0 };
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 6 }), (operations) => {
        const expected = someOrder(register, register.initial, operations);
        verdicts[expected ? 'yes' : 'no']++;
        const result = linearizable(register, operations);
        expect(result.ok).toBe(expected);
        if (result.ok) expect(isOrder(result.order, operations)).toBe(true);
      }),
      { numRuns: 3_000 },
    );
    expect(Math.min(verdicts.yes, verdicts.no)).toBeGreaterThan(300);
  });

  test.each([true, false])('5,000 operations of ten clients, correct: %s, well under a second', (correct) => {
    const operations: Call[] = Array.from({ length: 5_000 }, (_, number) =>
      call(number, number + 10, 'increment', number),
    );
    operations.push(call(4_990, 5_020, 'read', correct ? 4_999 : 17));
    const start = process.cpuUsage();
    expect(linearizable(register, operations).ok).toBe(correct);
    expect(processorMs(start)).toBeLessThan(1_000);
  });
});

/** Tries every order: slow, and too simple to be wrong. */
function someOrder<S>(model: Model<S, Action, number>, state: S, rest: readonly Call[]): boolean {
  if (rest.every((operation) => operation.return === undefined)) return true;
  return rest.some((operation) => {
    if (rest.some((other) => (other.return ?? Number.POSITIVE_INFINITY) < operation.call)) return false;
    const next = model.step(state, operation);
    return (
      next !== undefined &&
      someOrder(
        model,
        next,
        rest.filter((other) => other !== operation),
      )
    );
  });
}

function isOrder(order: readonly Call[], operations: readonly Call[]): boolean {
  const needed = operations.filter((operation) => operation.return !== undefined);
  if (!needed.every((operation) => order.includes(operation))) return false;
  let state: number | undefined = register.initial;
  for (const [place, operation] of order.entries()) {
    if (order.slice(place + 1).some((later) => (later.return ?? Number.POSITIVE_INFINITY) < operation.call)) {
      return false;
    }
    state = register.step(state, operation);
    if (state === undefined) return false;
  }
  return true;
}
