import type { Mutants } from '../mutation/patch.ts';

const RUN_ONCE = 'sync/callers/run-once.ts';

/** Mistakes of those who run a job once: with a lock only, with a note only, with either of them looked at too early. */
export const mutants: Mutants = {
  'a run begins before it is noted': [
    { file: RUN_ONCE, in: '#ask', find: /due && \(await this\.#note\([^;]*\)\);/, put: 'due;' },
  ],
  'noted by whoever held the lock once': [
    { file: RUN_ONCE, in: '#note', find: 'when: [grant.isOwner, unchanged]', put: 'when: [unchanged]' },
  ],
  'noted over what was noted since the look': [
    { file: RUN_ONCE, in: '#note', find: 'when: [grant.isOwner, unchanged]', put: 'when: [grant.isOwner]' },
  ],
  'a note without an answer taken for a success': [
    { file: RUN_ONCE, in: '#note', find: 'refused = false;', put: 'return true;' },
  ],
  'a note without an answer put again, without a look for it': [
    { file: RUN_ONCE, in: '#note', find: 'if (run?.token === token) return true;', put: '' },
  ],
  'any last run is long ago': [{ file: RUN_ONCE, in: 'isRecent', find: '< atLeast', put: '< 0' }],
  'a run is recent for longer than was said': [
    { file: RUN_ONCE, in: 'isRecent', find: '< atLeast', put: '< 3 * atLeast' },
  ],
  'a last run in the future is recent for ever': [
    { file: RUN_ONCE, in: 'isRecent', find: 'Math.abs(now - last.at)', put: '(now - last.at)' },
  ],
  'the lock of a run that is not due is kept': [
    { file: RUN_ONCE, in: '#ask', find: 'if (!runs)', put: 'if (false)' },
  ],
  'who has run it once never runs it again': [
    { file: RUN_ONCE, in: 'OnceRuns.finish', find: 'this.#keys.delete(key);', put: '' },
  ],
};

/** Which seed caught them when somebody last looked, where it is not among the first. */
export const caughtBy: Readonly<Record<string, number>> = {
  'noted by whoever held the lock once': 219,
  'a note without an answer taken for a success': 13,
  'a note without an answer put again, without a look for it': 109,
  'a last run in the future is recent for ever': 12,
  'the lock of a run that is not due is kept': 292,
};
