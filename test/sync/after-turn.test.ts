import { describe, expect, test } from 'vitest';
import { afterTurn, type TurnOver } from '../../src/sync/callers/hand-off.ts';

const limits = { limit: 3, within: 100 };
/** Given back while somebody waits, and for the first time. */
const over: TurnOver = { waiting: 1, believed: true, unsure: false, handOffs: 0, heldFor: 0, races: true };

const rows: [what: string, over: Partial<TurnOver>, next: ReturnType<typeof afterTurn>][] = [
  ['what was given back goes to who waits here', {}, 'hand-on'],
  ['where contenders queue, too', { races: false }, 'hand-on'],
  ['until the row is over', { handOffs: 2 }, 'hand-on'],
  ['after the row others have a chance', { handOffs: 3 }, 'yield'],
  ['so they have when its time is over', { handOffs: 1, heldFor: 100 }, 'yield'],
  ['not before', { handOffs: 1, heldFor: 99.9 }, 'hand-on'],
  ['a queue gives them their turn by itself', { handOffs: 3, races: false }, 'release'],
  ['held for long by one: nobody was kept out by a row', { heldFor: 100 }, 'release'],
  ['a write may still be on its way', { unsure: true }, 'release'],
  ['a write may still be on its way, after a hand-off', { unsure: true, handOffs: 1 }, 'yield'],
  ['lost, or in doubt', { believed: false }, 'release'],
  ['lost, or in doubt, after a hand-off', { believed: false, handOffs: 1 }, 'yield'],
  ['nobody waits', { waiting: 0 }, 'release'],
  ['nobody waits, after a row', { waiting: 0, handOffs: 3 }, 'release'],
];

describe('what becomes of a turn that is over', () => {
  test.each(rows)('%s', (_, differs, next) => {
    expect(afterTurn({ ...over, ...differs }, limits)).toBe(next);
  });

  test('without hand-offs everything is released, and nothing yields', () => {
    expect(afterTurn(over, { limit: 0, within: 100 })).toBe('release');
  });
});
