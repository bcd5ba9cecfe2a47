import type { Mutants } from '../mutation/patch.ts';

const RACE = 'sync/contender/claim-race.ts';
const FAREWELL = 'sync/contender/farewell.ts';
const RECORD = 'sync/contender/remove-record.ts';
const CLAIMING = 'sync/callers/claiming.ts';
const OWNED = 'sync/callers/owned-records.ts';
const VIEWS = 'sync/callers/views.ts';

/** Mistakes of those who take one record for their own, and write something with it. */
export const mutants: Mutants = {
  'a claim adopts the record of an earlier claim of this process': [
    {
      file: RACE,
      in: 'ClaimRace.attempt',
      find: '(revision === asked.made || !asked.suspect)',
      put: 'true',
    },
  ],
  'a farewell is taken for written when it conflicted': [
    {
      file: FAREWELL,
      in: 'Farewell.part',
      find: "ok ? 'written' : wasUnsure ? 'unknown' : 'lost'",
      put: "'written'",
    },
  ],
  'a farewell that had no answer is taken for lost': [
    {
      file: FAREWELL,
      in: 'Farewell.tell',
      find: "this.#unsure ? 'unknown' : (this.#refusal ?? 'lost')",
      put: "'lost'",
    },
  ],
  'a release without its condition': [
    { file: RECORD, in: 'removeRecord', find: 'when: [{ key, revision }]', put: 'when: []' },
    { file: FAREWELL, in: 'Farewell.part', find: 'when: [{ key, revision }]', put: 'when: []' },
  ],
  'who does not get it is told that nothing was written': [
    { file: CLAIMING, in: 'Claiming.notice', find: 'if (this.#race.unsure)', put: 'if (false)' },
  ],
  'what was made after its caller gave up is left there': [
    { file: RACE, in: 'made', find: 'asked.possible = true;', put: '' },
  ],
  'a kept record is not put again': [
    {
      file: OWNED,
      in: 'OwnedRecords.sessionLive',
      find: 'this.#begin(key, record, session);',
      put: 'void key;',
    },
  ],
  'what is removed while it is put again is there again': [
    {
      file: OWNED,
      in: 'OwnedRecords.removed',
      find: 'if (record.restored) this.#keepAway(name);',
      put: '',
    },
  ],
  'a put without its session': [
    {
      file: OWNED,
      in: 'OwnedRecords.#commit',
      find: '{ ...mutation, session: session.id }',
      put: 'mutation',
    },
  ],
  'a view whose position is taken after what it shows': [
    {
      file: VIEWS,
      in: 'Views.#follow',
      find: 'since = at;',
      put: 'since = (await backend.query(scope, { signal })).at; void at;',
    },
  ],
};

/** Which seed caught them when somebody last looked, where it is not among the first. */
export const caughtBy: Readonly<Record<string, number>> = {
  'a release without its condition': 346,
  'what is removed while it is put again is there again': 57,
};
