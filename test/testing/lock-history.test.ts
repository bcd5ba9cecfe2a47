import fc from 'fast-check';
import { LockHistory, linearizable, type Model, type Operation } from 'holdfast/testing';
import { describe, expect, test } from 'vitest';
import { processorMs } from './processor.ts';
import { replay, type Seen, type Step } from './replay.ts';

const seen = (from: number, to: number, client: string, ...step: Step): Seen => ({ from, to, client, step });

const turn = (from: number, client: string, token: number): Seen[] => [
  seen(from, from + 1, client, 'acquire', token),
  seen(from + 2, from + 3, client, 'write', token, `${client}${token}`),
  seen(from + 4, from + 4, client, 'look', token),
  seen(from + 5, from + 6, client, 'release', token),
];

describe('a lock history', () => {
  test.each<[string, Seen[]]>([
    ['nothing', []],
    ['turns', [...turn(0, 'a', 7), ...turn(10, 'b', 8), seen(20, 21, 'a', 'read', 'b8')]],
    ['local hand-off', [...turn(0, 'a', 0x70000), ...turn(10, 'a', 0x70001), ...turn(20, 'b', 0x80000)]],
    ['taken over', [seen(0, 1, 'a', 'acquire', 7), ...turn(10, 'b', 8)]],
    [
      'granted at the instant of the last look',
      [seen(0, 1, 'a', 'acquire', 7), seen(5, 5, 'a', 'look', 7), seen(2, 5, 'b', 'acquire', 8)],
    ],
    [
      'told late of a grant that was over already',
      [seen(0, 9, 'a', 'acquire', 7), seen(1, 2, 'b', 'acquire', 8), seen(3, 3, 'b', 'look', 8)],
    ],
    [
      'a stale write refused',
      [
        seen(0, 1, 'a', 'acquire', 7),
        ...turn(10, 'b', 8),
        seen(30, 31, 'a', 'refused', 7, 'x'),
        seen(32, 33, 'a', 'read', 'b8'),
      ],
    ],
    [
      'refused with nobody else there: the session had expired',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'refused', 7, 'x'), seen(4, 5, 'a', 'read')],
    ],
    [
      'an unknown write that was applied',
      [
        seen(0, 1, 'a', 'acquire', 7),
        seen(2, 3, 'a', 'write?', 7, 'x'),
        ...turn(10, 'b', 8).slice(0, 1),
        seen(20, 21, 'b', 'read', 'x'),
      ],
    ],
    [
      'an unknown write that was not',
      [
        seen(0, 1, 'a', 'acquire', 7),
        seen(2, 3, 'a', 'write?', 7, 'x'),
        ...turn(10, 'b', 8).slice(0, 1),
        seen(20, 21, 'b', 'read'),
      ],
    ],
    [
      'an unknown write that was applied late, the grant still being there',
      [
        seen(0, 1, 'a', 'acquire', 7),
        seen(2, 3, 'a', 'write?', 7, 'x'),
        seen(4, 5, 'a', 'read'),
        seen(6, 7, 'a', 'read', 'x'),
      ],
    ],
    [
      'an unknown release that arrived',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'release?', 7), seen(4, 5, 'a', 'refused', 7, 'x')],
    ],
    [
      'an unknown release that did not',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'release?', 7), seen(4, 5, 'a', 'write', 7, 'x')],
    ],
  ])('can be: %s', (_, all) => {
    expect(replay(all).check()).toEqual({ ok: true, operations: expect.any(Number) });
  });

  test.each<[string, Seen[], string]>([
    [
      'two holders',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'b', 'acquire', 8), seen(5, 5, 'a', 'look', 7)],
      'a still held token 7 (at 5.000): by then token 8 had been granted',
    ],
    [
      'a token fell',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'b', 'acquire', 6)],
      'a was granted token 7 (0.000 to 1.000): the smaller token 6 was granted only later',
    ],
    [
      'a token given twice',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'b', 'acquire', 7)],
      'b was granted token 7 (2.000 to 3.000): token 7 had been granted already',
    ],
    [
      'held after it was given back',
      [...turn(0, 'a', 7), seen(9, 9, 'a', 'look', 7)],
      'by then that grant was over',
    ],
    [
      'held after a refusal',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'refused', 7, 'x'), seen(4, 4, 'a', 'look', 7)],
      'by then that grant was over',
    ],
    ['held what nobody was given', [seen(1, 1, 'a', 'look', 7)], 'nobody had been granted token 7'],
    [
      'a stale write accepted',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'b', 'acquire', 8), seen(4, 5, 'a', 'write', 7, 'x')],
      `a's write of "x" with token 7 was accepted (4.000 to 5.000): by then token 8 had been granted`,
    ],
    [
      'accepted after it was given back',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'release', 7), seen(4, 5, 'a', 'write', 7, 'x')],
      'by then that grant was over',
    ],
    [
      'a lost update',
      [...turn(0, 'a', 7), ...turn(10, 'b', 8), seen(20, 21, 'c', 'read', 'a7')],
      'c read "a7" (20.000 to 21.000): the value was "b8"',
    ],
    [
      'a value never written',
      [seen(0, 1, 'a', 'read', 'x')],
      'a read "x" (0.000 to 1.000): the value was nothing',
    ],
    [
      'a refused value',
      [seen(0, 1, 'a', 'acquire', 7), seen(2, 3, 'a', 'refused', 7, 'x'), seen(4, 5, 'a', 'read', 'x')],
      'a read "x"',
    ],
    [
      'an unknown write applied after another grant',
      [
        seen(0, 1, 'a', 'acquire', 7),
        seen(2, 3, 'a', 'write?', 7, 'x'),
        seen(4, 5, 'b', 'acquire', 8),
        seen(6, 7, 'b', 'read'),
        seen(8, 9, 'b', 'read', 'x'),
      ],
      'b read "x" (8.000 to 9.000): the value was nothing',
    ],
  ])('cannot be: %s', (_, all, message) => {
    expect(replay(all).check()).toEqual({ ok: false, message: expect.stringContaining(message) });
  });

  test('beliefs may overlap where operators interfered; tokens and writes must be right nevertheless', () => {
    const overlap = [
      seen(0, 1, 'a', 'acquire', 7),
      seen(2, 3, 'b', 'acquire', 8),
      seen(5, 5, 'a', 'look', 7),
    ];
    expect(replay(overlap).check({ beliefs: false }).ok).toBe(true);
    const stale = [...overlap, seen(6, 7, 'a', 'write', 7, 'x')];
    expect(replay(stale).check({ beliefs: false }).ok).toBe(false);
    expect(replay([...overlap, ...turn(10, 'a', 6)]).check({ beliefs: false }).ok).toBe(false);
  });

  test('what does not end constrains nothing', () => {
    const history = new LockHistory();
    history.acquiring('a');
    history.acquiring('b').unknown();
    history.acquiring('c').nothing();
    history.reading('a');
    history.writing('a', 7n, 'x');
    history.releasing('a', 7n);
    expect(history.check()).toEqual({ ok: true, operations: 1 });
  });

  test('agrees with the plain model, in which a grant ends at any time by itself', () => {
    const token = fc.integer({ min: 1, max: 3 });
    const value = fc.constantFrom('x', 'y');
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(fc.constant('acquire' as const), token) },
      fc.tuple(fc.constantFrom('look', 'release', 'release?'), token),
      fc.tuple(fc.constantFrom('write', 'refused', 'write?'), token, value),
      fc.tuple(fc.constant('read' as const), fc.option(value, { nil: undefined })),
    ) as fc.Arbitrary<Step>;
    const one = fc
      .tuple(fc.nat(8), fc.nat(4), fc.constantFrom('a', 'b'), step)
      .map(([from, length, client, what]) =>
        seen(from, what[0] === 'look' ? from : from + length, client, ...what),
      );
    const verdicts = { yes: 0, no: 0 };
    fc.assert(
      fc.property(fc.array(one, { maxLength: 7 }), (all) => {
        const expected = linearizable(plain, all.flatMap(plainly)).ok;
        verdicts[expected ? 'yes' : 'no']++;
        expect(replay(all).check().ok).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(verdicts.yes, verdicts.no)).toBeGreaterThan(300);
  });

  test.each([true, false])(
    '5,000 operations with 50 clients waiting, correct: %s, well under a second',
    (ok) => {
      const all = Array.from({ length: 1_250 }, (_, round) => {
        const at = round * 10;
        const token = round + 1;
        const value = String(token);
        const [client, other] = [`c${round % 50}`, `c${(round + 1) % 50}`];
        return [
          // All the others have been waiting for a while, and no order in the queue is kept.
          seen(Math.max(0, at - ((round * 7) % 50) * 10), at + 1, client, 'acquire', token),
          round % 5 === 0
            ? seen(at + 2, at + 3, client, 'write?', token, value)
            : seen(at + 2, at + 3, client, 'write', token, value),
          seen(at + 4, at + 4, client, 'look', token),
          round === 1_200 && !ok
            ? seen(at + 5, at + 6, other, 'read', '3')
            : seen(at + 5, at + 6, client, 'release', token),
        ];
      }).flat();
      const history = replay(all);
      const start = process.cpuUsage();
      expect(history.check().ok).toBe(ok);
      const took = processorMs(start);
      expect(took).toBeLessThan(1_000);
      console.info(`5,000 operations, correct: ${ok}, checked in ${Math.round(took)} ms of processor time`);
    },
  );
});

type PlainStep = Step | readonly ['expire', token: number | string];

interface Plain {
  readonly holder: number;
  readonly largest: number;
  readonly value: string | undefined;
}

const plain: Model<Plain, PlainStep, never> = {
  initial: { holder: 0, largest: 0, value: undefined },
  key: JSON.stringify,
  step: (state, { input }) => {
    if (input[0] === 'read') return input[1] === state.value ? state : undefined;
    const [does, , value] = input;
    const token = Number(input[1]);
    const holds = state.holder === token;
    if (does === 'acquire') {
      return state.holder === 0 && token > state.largest
        ? { ...state, holder: token, largest: token }
        : undefined;
    }
    if (token > state.largest) return undefined;
    if (does === 'refused') return holds ? undefined : state;
    if (does === 'release') return holds ? { ...state, holder: 0 } : state;
    if (!holds) return undefined;
    if (does === 'look') return state;
    return does === 'write' || does === 'write?' ? { ...state, value } : { ...state, holder: 0 };
  },
};

function plainly({ from, to, client, step }: Seen): Operation<PlainStep, never>[] {
  if (step[0] === 'write?') return [{ client, call: from, input: step }];
  const known = { client, call: from, return: to, input: step };
  if (step[0] === 'acquire') return [known, { client, call: from, input: ['expire', step[1]] }];
  // Sent when it was called; whether it ever arrives is as with any grant's end.
  if (step[0] === 'release?') return [];
  return [known];
}
