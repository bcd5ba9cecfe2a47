import type { Mutants, Patch } from '../mutation/patch.ts';

const SESSION = 'sync/session/session.ts';
const KEEPER = 'sync/session/session-keeper.ts';
const MACHINE = 'sync/contender/lock-machine.ts';
const CONTENDER = 'sync/contender/contender.ts';
const HELD = 'sync/contender/record-watch.ts';
const LEFTOVERS = 'sync/contender/leftovers.ts';
const RECORD = 'sync/contender/remove-record.ts';
const QUEUE = 'sync/contender/queue.ts';
const RACE = 'sync/contender/race.ts';
const LOCAL = 'sync/callers/local-queue.ts';
const HAND_OFF = 'sync/callers/hand-off.ts';
const LOCK = 'sync/callers/lock.ts';
const SCOPED = 'sync/callers/scoped.ts';
const GRANT = 'sync/callers/grant.ts';
const PROOFS = 'sync/callers/proofs.ts';
const COMMIT = 'sync/callers/guarded-commit.ts';
const STOP = 'sync/manager/stop.ts';
const RESET = 'sync/manager/forward-only.ts';
const OWN_PUTS = 'sync/manager/own-puts.ts';
const RETRY = 'contract/retry.ts';

const takesEnded: Patch = {
  file: SCOPED,
  in: 'ScopedTicket.notice',
  find: 'if (!notice.grant.held) return;',
  put: '',
};

const distrustsLate: Patch = {
  file: SESSION,
  in: 'Session.trusted',
  find: 'if (now >= this.#deadline) return false;',
  put: '',
};

/**
 * The mistakes that others have made, each as a change to a copy of the library. The simulation has to catch every one:
 * a mistake that it does not notice is one that it would not notice in the library either.
 */
export const mutants: Mutants = {
  'deadline counted from the response': [
    {
      file: KEEPER,
      in: '#open',
      find: 'new Session(granted, sent,',
      put: 'new Session(granted, instant(this.#clock),',
    },
    {
      file: KEEPER,
      in: '#keep',
      find: 'session.renewed(sent)',
      put: 'session.renewed(instant(this.#clock))',
    },
  ],
  'deadline = 2 x TTL': [
    { file: SESSION, in: 'Session.constructor', find: 'sent.now + granted.ttl', put: '$& + granted.ttl' },
    { file: SESSION, in: 'Session.renewed', find: 'sent.now + this.ttl', put: '$& + this.ttl' },
  ],
  'trust in the timer instead of the clock': [distrustsLate],
  'still held while waiting for the next session': [
    { file: SESSION, in: 'Session.end', find: 'this.#ended ??= why', put: 'void why' },
    distrustsLate,
    {
      file: MACHINE,
      in: 'step',
      find: 'if (ends(event, state.session)) return lose(undefined, event.reason);',
      put: "if (event.type === 'session-live') return lose(event.session, 'deadline');",
    },
  ],
  'a late renewal resurrects': [
    {
      file: KEEPER,
      in: '#keep',
      find: "if (this.#clock.now() >= session.deadline) return 'deadline';",
      put: '',
    },
    {
      file: KEEPER,
      in: '#keep',
      find: 'Math.min(deadline - now, session.ttl / 3)',
      put: 'session.ttl',
    },
  ],
  'no check of the deadline after a wait': [
    { file: MACHINE, in: 'whileSeeking', find: 'if (!event.trusted)', put: 'if (false)' },
    takesEnded,
    { file: LOCK, in: 'Lock.#granted', find: 'if (grant.held)', put: '' },
  ],
  'no re-check of earlier contenders after the predecessor went': [
    {
      file: QUEUE,
      in: 'wait',
      find: 'if (predecessor === undefined)',
      put: 'if (predecessor?.key !== first)',
    },
    { file: QUEUE, in: 'wait', find: /let suspect\b/, put: 'const first = place.predecessor; $&' },
  ],
  'release without a condition': [
    { file: RECORD, in: 'removeRecord', find: 'when: [{ key, revision }]', put: 'when: []' },
  ],
  'token that restarts after a delete': [
    { file: RACE, in: 'acquired', find: 'token: revision', put: 'token: 1n' },
    { file: QUEUE, in: 'acquired', find: 'token: created', put: 'token: 1n' },
  ],
  'an unknown commit taken for a failure': [
    { file: LEFTOVERS, in: 'Leftovers.failed', find: /this\.#until = [^;]*;/, put: 'void session;' },
    {
      file: MACHINE,
      in: 'whileSeeking',
      find: 'return release(session, undefined);',
      put: "return { state: IDLE, notices: [{ tell: 'released' }] };",
    },
  ],
  'an unknown commit taken for a success': [
    {
      file: CONTENDER,
      in: '#seek',
      find: /await (this\.#contention\.attempt\([^;]*\));/,
      put: `await $1.catch(() => ({
        outcome: 'acquired',
        holding: {
          record: this.#contention.record(this.#path, session.id),
          session: session.id,
          revision: 0n,
          token: BigInt(Math.ceil(this.#host.clock.now() * 1e6)),
        },
      }));`,
    },
  ],
  'session closed before the keys are released': [
    { file: STOP, in: 'end', find: 'await until(RELEASES_SHARE,', put: 'await keeper.stop(); $&' },
  ],
  "abort that leaves the waiter's record": [
    {
      file: LOCAL,
      in: '#leaveHead',
      find: 'if (this.#tickets.length === 0) return this.#giveUp(ticket, impatient);',
      put: 'if (this.#tickets.length === 0) return Promise.resolve();',
    },
  ],
  'a try that waits until the store is back': [
    {
      file: LOCAL,
      in: 'LocalQueue.failing',
      find: 'this.#failed || this.#host.keeper.impaired',
      put: 'false',
    },
    { file: LOCAL, in: '#tried', find: 'this.#tickets.first?.notice(notice);', put: '' },
  ],
  'stale continuation applied to a newer epoch': [
    {
      file: MACHINE,
      in: 'step',
      find: "if ('of' in event && event.of !== state) return stay(state);",
      put: '',
    },
    { file: CONTENDER, in: '#seek', find: 'trusted: session.trusted', put: 'trusted: true' },
  ],
  'local hand-off after the grant was lost': [
    { file: LOCAL, in: '#isBelieved', find: '&& state.session.trusted', put: '' },
    takesEnded,
  ],
  'local hand-off while a write of the one before is on its way': [
    { file: HAND_OFF, in: 'afterTurn', find: '&& !over.unsure', put: '' },
  ],
  'a write under a proof that was handed on': [
    { file: COMMIT, in: 'guardedCommit', find: 'if (over) {', put: 'if (false) {' },
  ],
  'a proof that does not say whose it is passes for the one who holds now': [
    { file: PROOFS, in: 'Proofs.of', find: 'handOff = 0', put: 'handOff' },
    {
      file: PROOFS,
      in: 'Proofs.of',
      find: 'latest.isOwner.handOff === handOff',
      put: '(handOff === undefined || $&)',
    },
  ],
  'a record that went is not noticed': [
    {
      file: HELD,
      in: 'RecordWatch.#read',
      find: 'if (loss !== undefined)',
      put: "if (loss === 'record-overwritten')",
    },
  ],
  'an unknown outcome taken for a refusal by its code': [
    {
      file: RETRY,
      in: 'wasRefused',
      find: "error.outcome === 'refused'",
      put: "error.code !== 'unavailable' && error.code !== 'bad-response'",
    },
  ],
  'the same, of guarded writes only': [
    {
      file: GRANT,
      in: 'Grant.guard',
      find: 'if (!wasRefused(error))',
      put: "if (!wasRefused(error) && ['unavailable', 'bad-response'].includes(error.code ?? 'unavailable'))",
    },
  ],
  'a reset of the store forgotten with a failed clean-up': [
    {
      file: RESET,
      in: 'forwardOnly.put',
      find: 'remember(before, result.revision); await takeBack(puts, signal);',
      put: 'if (await takeBack(puts, signal)) remember(before, result.revision);',
    },
    { file: RESET, in: 'forwardOnly.expel', find: 'remember(from, revision);', put: '' },
    {
      file: RESET,
      in: 'forwardOnly.expel',
      find: "throw reset('unknown');",
      put: "throw new Error('not taken back'); remember(from, revision);",
    },
  ],
  'a put without an answer says nothing of a reset': [
    { file: OWN_PUTS, in: 'OwnPuts.failed', find: 'trace.lost = true;', put: '$& trace.floor = NEVER;' },
  ],
  'a record of before a reset taken for a put that had no answer': [
    { file: OWN_PUTS, in: 'OwnPuts.look', find: 'floor !== undefined', put: 'trace.lost && $&' },
  ],
  'local hand-off of a record that is gone: not watched while somebody waits': [
    { file: CONTENDER, in: '#watchLater', find: 'this.#listener.crowded', put: 'false' },
    {
      file: CONTENDER,
      in: 'watchHeld',
      find: 'this.#work.beside instanceof RecordWatch',
      put: 'this.#work.beside !== undefined',
    },
  ],
  'missed wake-up: the cursor is taken after the read': [
    {
      file: QUEUE,
      in: 'wait',
      find: 'const wait =',
      put: '({ at } = await lock.backend.query(aheadOf(lock, contender), { signal })); $&',
    },
  ],
};

/** Which seed caught them when somebody last looked, where it is not among the first. */
export const caughtBy: Readonly<Record<string, number>> = {
  'deadline counted from the response': 205,
  'deadline = 2 x TTL': 30,
  'trust in the timer instead of the clock': 14,
  'a late renewal resurrects': 58,
  'no check of the deadline after a wait': 14,
  'release without a condition': 104,
  'an unknown commit taken for a failure': 62,
  "abort that leaves the waiter's record": 164,
  'stale continuation applied to a newer epoch': 61,
  'local hand-off after the grant was lost': 68,
  'local hand-off while a write of the one before is on its way': 45,
  'a write under a proof that was handed on': 18,
  'a proof that does not say whose it is passes for the one who holds now': 38,
  'an unknown outcome taken for a refusal by its code': 398,
  'the same, of guarded writes only': 427,
  'a reset of the store forgotten with a failed clean-up': 26,
  'a put without an answer says nothing of a reset': 113,
  'a record of before a reset taken for a put that had no answer': 402,
  'local hand-off of a record that is gone: not watched while somebody waits': 278,
  'missed wake-up: the cursor is taken after the read': 45,
};
