import { describe, expect, test } from 'vitest';
import { SyncError } from '../../src/contract/errors.ts';
import { type LockEvent, type LockState, type Step, step } from '../../src/sync/contender/lock-machine.ts';
import { instant, Session } from '../../src/sync/session/session.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const clock = new VirtualClock();
const session = (id: string) => new Session({ id, ttl: 1_000 }, instant(clock), 100, clock, () => {});
const [s1, s2] = [session('s1'), session('s2')];
const holding = { record: 'k', session: 's1', revision: 7n, token: 7n };
const place = { contender: { created: 5n, revision: 5n } };
const error = new SyncError('foreign-record', 'not ours');

const idle: LockState = { name: 'idle' };
const awaiting: LockState = { name: 'seeking', session: undefined, place: undefined, failures: 0 };
const seeking: LockState = { name: 'seeking', session: s1, place: undefined, failures: 0 };
const waiting: LockState = { name: 'waiting', session: s1, place, pause: undefined, failures: 0 };
const held: LockState = { name: 'held', session: s1, holding };
const lost: LockState = { name: 'lost', session: s1, reason: 'record-gone' };
const overwritten: LockState = { name: 'lost', session: s1, reason: 'record-overwritten' };
const releasing: LockState = { name: 'releasing', session: s1, holding };
const stopped: LockState = { name: 'stopped' };
const every = { idle, awaiting, seeking, waiting, held, lost, releasing, stopped };

const released: Step['notices'][number] = { tell: 'released' };
const ended: LockEvent = { type: 'session-ended', session: s1, reason: 'deadline' };
const attempted = (
  of: LockState,
  result: Extract<LockEvent, { type: 'attempted' }>['result'],
  trusted = true,
) => ({ type: 'attempted', of, result, trusted }) as const;
const acquired = { outcome: 'acquired', holding } as const;

type Row = [
  from: LockState,
  event: LockEvent,
  to: Partial<LockState>,
  tells?: Step['notices'],
  wanted?: boolean,
];

const rows: Record<string, Row> = {
  'a claim seeks under the session there is': [
    idle,
    { type: 'claim', session: s1 },
    { name: 'seeking', session: s1 },
  ],
  'a claim without a session waits for one': [idle, { type: 'claim', session: undefined }, awaiting],
  'the awaited session is used': [
    awaiting,
    { type: 'session-live', session: s2 },
    { name: 'seeking', session: s2 },
  ],
  'giving up before there is a session': [awaiting, { type: 'release' }, idle, [released]],
  'an acquired lock is held': [
    seeking,
    attempted(seeking, acquired),
    held,
    [{ tell: 'granted', session: s1, holding }],
  ],
  'an answer after the deadline is not believed': [
    seeking,
    attempted(seeking, acquired, false),
    { name: 'waiting', session: s1, pause: 1_000 },
  ],
  'somebody else holds': [
    seeking,
    attempted(seeking, { outcome: 'occupied', place }),
    { name: 'waiting', place, pause: undefined },
    [{ tell: 'occupied' }],
  ],
  'a foreign record is told, and waited for': [
    seeking,
    attempted(seeking, { outcome: 'foreign', error, place }),
    { name: 'waiting', place },
    [{ tell: 'refused', error }],
  ],
  'held back by the server': [
    seeking,
    attempted(seeking, { outcome: 'delayed', retryAfter: 300 }),
    { name: 'waiting', pause: 300, place: undefined },
    [{ tell: 'occupied' }],
  ],
  'the session turns out to be gone': [
    seeking,
    attempted(seeking, { outcome: 'session-gone' }),
    awaiting,
    [{ tell: 'session-gone', session: s1 }],
  ],
  'a turn is an attempt from that place': [
    waiting,
    { type: 'woke', of: waiting, place },
    { name: 'seeking', session: s1, place },
  ],
  'a doubt is over': [
    { name: 'waiting', session: s1, place, pause: 1_000, failures: 0 },
    { type: 'session-live', session: s1 },
    { name: 'seeking', session: s1, place },
  ],
  'a doubt is nothing to who waits for a turn': [waiting, { type: 'session-live', session: s1 }, waiting],
  'a refused removal keeps nobody waiting': [
    releasing,
    { type: 'failed', of: releasing, pause: 0 },
    releasing,
    [released],
  ],
  'a session ends while seeking': [seeking, ended, awaiting],
  'a session ends while waiting': [waiting, ended, awaiting],
  'giving up while an attempt is under way': [
    seeking,
    { type: 'release' },
    { name: 'releasing', session: s1, holding: undefined },
  ],
  'giving up the place in line': [
    waiting,
    { type: 'release' },
    { name: 'releasing', session: s1, holding: undefined },
  ],
  'release of a held lock': [held, { type: 'release' }, { name: 'releasing', session: s1, holding }],
  'lost before it waits for the next session': [
    held,
    ended,
    { name: 'lost', session: undefined, reason: 'deadline' },
    [{ tell: 'lost', reason: 'deadline' }],
  ],
  'the record is gone': [
    held,
    { type: 'observed', of: held, reason: 'record-gone' },
    { name: 'lost', session: s1, reason: 'record-gone' },
    [{ tell: 'lost', reason: 'record-gone' }],
  ],
  'a claim resumes after a loss': [
    lost,
    { type: 'resume', of: lost },
    { name: 'seeking', session: s1 },
    [released],
  ],
  'what was overwritten is removed first': [
    overwritten,
    { type: 'resume', of: overwritten },
    { name: 'releasing', session: s1 },
  ],
  'nobody wants it after a loss': [
    lost,
    { type: 'resume', of: lost },
    { name: 'releasing', session: s1 },
    [],
    false,
  ],
  'released during a loss': [lost, { type: 'release' }, { name: 'releasing', session: s1 }, [], false],
  'released during a loss without a session': [
    { ...lost, session: undefined },
    { type: 'release' },
    idle,
    [released],
    false,
  ],
  'a session ends during a loss': [lost, ended, { name: 'lost', session: undefined }],
  'released and wanted again': [
    releasing,
    { type: 'removed', of: releasing },
    { name: 'seeking', session: s1 },
    [released],
  ],
  'released for good': [releasing, { type: 'removed', of: releasing }, idle, [released], false],
  'the session ends during a release': [releasing, ended, idle, [released], false],
  'something is left behind': [
    idle,
    { type: 'leftover', of: idle, session: s1 },
    { name: 'releasing', session: s1, holding: undefined },
  ],
  'release with nothing to release': [idle, { type: 'release' }, idle, [released]],
};

describe('lock machine', () => {
  for (const [name, [from, event, to, notices = [], wanted = true]] of Object.entries(rows)) {
    test(name, () => {
      const result = step(from, event, wanted);
      expect(result.state).toMatchObject(to);
      expect(result.notices).toEqual(notices);
    });
  }

  test('a failed attempt is tried again after a pause, and a failed wait too', () => {
    for (const state of [seeking, waiting]) {
      const { state: next } = step(state, { type: 'failed', of: state, pause: 70 }, true);
      expect(next).toMatchObject({ name: 'waiting', session: s1, pause: 70, failures: 1 });
    }
  });

  test('a stale continuation changes nothing, in every state', () => {
    const stale: LockState = { name: 'seeking', session: s1, place: undefined, failures: 0 };
    const events: LockEvent[] = [
      attempted(stale, acquired),
      { type: 'failed', of: stale, pause: 1 },
      { type: 'woke', of: stale, place },
      { type: 'observed', of: stale, reason: 'record-gone' },
      { type: 'removed', of: stale },
      { type: 'resume', of: stale },
      { type: 'leftover', of: stale, session: s1 },
    ];
    for (const state of Object.values(every)) {
      for (const event of events) expect(step(state, event, true)).toEqual({ state, notices: [] });
    }
  });

  test('the end of another session changes nothing, in every state', () => {
    for (const state of Object.values(every)) {
      const result = step(state, { type: 'session-ended', session: s2, reason: 'deadline' }, true);
      expect(result).toEqual({ state, notices: [] });
    }
  });

  test('only an attempt in `seeking` grants', () => {
    for (const state of Object.values(every)) {
      const { notices } = step(state, attempted(state, acquired), true);
      expect(notices.some(({ tell }) => tell === 'granted')).toBe(state === seeking);
    }
  });

  test('stop ends every state, and nothing leaves it', () => {
    for (const state of Object.values(every))
      expect(step(state, { type: 'stop' }, true)).toEqual({
        state: { name: 'stopped' },
        notices: [released],
      });
    expect(step(stopped, { type: 'claim', session: s1 }, true).state).toBe(stopped);
    expect(step(stopped, { type: 'release' }, true).notices).toEqual([released]);
  });
});
