import { describe, expect, test } from 'vitest';
import { type NextStep, nextStep, type Upkeep } from '../../src/sync/session/upkeep.ts';

/** Live, and neither due nor told anything. */
const quiet: Upkeep = {
  now: 1_000,
  told: 'nothing',
  deadline: 9_000,
  trusted: true,
  abortOnDoubt: false,
  due: 3_000,
  failures: 0,
};

const end = (reason: Extract<NextStep, { do: 'end' }>['reason']): NextStep => ({ do: 'end', reason });
const renew: NextStep = { do: 'renew' };
const sleep = (ms: number): NextStep => ({ do: 'sleep', ms });

const rows: [what: string, upkeep: Partial<Upkeep>, next: NextStep][] = [
  ['sleeps until a renewal is due', {}, sleep(2_000)],
  ['but not past the deadline', { due: 10_000 }, sleep(8_000)],
  ['renews when it is due', { now: 3_000 }, renew],
  ['renews when something of it has vanished', { told: 'verify' }, renew],
  ['renews at once when it is in doubt', { trusted: false }, renew],
  ['not at once, when that has failed', { trusted: false, failures: 1 }, sleep(2_000)],
  ['but again when it is due', { trusted: false, failures: 1, now: 3_000 }, renew],
  [
    'does not wait for a doubt to be settled, if so told',
    { trusted: false, abortOnDoubt: true },
    end('doubt'),
  ],
  ['nor when it had failed before', { trusted: false, abortOnDoubt: true, failures: 1 }, end('doubt')],
  ['what is not in doubt is not aborted', { abortOnDoubt: true }, sleep(2_000)],
  ['ends at the deadline', { now: 9_000, trusted: false }, end('deadline')],
  [
    'also when a renewal is due or asked for',
    { now: 9_000, told: 'verify', trusted: false },
    end('deadline'),
  ],
  ['also when a doubt would end it', { now: 9_000, trusted: false, abortOnDoubt: true }, end('deadline')],
  ['ends when the server said that it is gone', { told: 'gone' }, end('session-gone')],
  ['which says more than the deadline', { told: 'gone', now: 9_000, trusted: false }, end('session-gone')],
  ['ends when the manager stops', { told: 'stop' }, end('stopped')],
  ['whatever else is so', { told: 'stop', now: 9_000, trusted: false, abortOnDoubt: true }, end('stopped')],
];

describe('upkeep of a session', () => {
  test.each(rows)('%s', (_, differs, next) => {
    expect(nextStep({ ...quiet, ...differs })).toEqual(next);
  });
});
