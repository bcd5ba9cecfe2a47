import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Subject } from './world.ts';

/** One piece of a known mistake: what to put in the place of what, in one file of the library. */
interface Patch {
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const SESSION = 'sync/session/session.ts';
const KEEPER = 'sync/session/session-keeper.ts';
const MACHINE = 'sync/contender/lock-machine.ts';
const CONTENDER = 'sync/contender/contender.ts';
const HELD = 'sync/contender/record-watch.ts';
const LEFTOVERS = 'sync/contender/leftovers.ts';
const LOCAL = 'sync/callers/local-queue.ts';
const PROOFS = 'sync/callers/proofs.ts';
const QUEUE = 'sync/contender/queue.ts';
const RACE = 'sync/contender/race.ts';
const BACKOFF = 'contract/retry.ts';
const RESET = 'sync/manager/forward-only.ts';
const OWN_PUTS = 'sync/manager/own-puts.ts';
const RECORD = 'sync/contender/remove-record.ts';

const takesEnded: Patch = { file: 'sync/callers/scoped.ts', find: 'if (!grant.held) return;', put: '' };

const distrustsLate: Patch = {
  file: SESSION,
  find: 'if (this.#ended !== undefined || this.#clock.now() >= this.#deadline) return false;',
  put: 'if (this.#ended !== undefined) return false;',
};

/**
 * The mistakes that others have made, each as a change to a copy of the library. The simulation has to catch every one:
 * a mistake that it does not notice is one that it would not notice in the library either.
 */
export const mutants: Readonly<Record<string, readonly Patch[]>> = {
  'deadline counted from the response': [
    { file: KEEPER, find: 'new Session(granted, sent,', put: 'new Session(granted, instant(this.#clock),' },
    { file: KEEPER, find: 'session.renewed(sent)', put: 'session.renewed(instant(this.#clock))' },
  ],
  'deadline = 2 x TTL': [
    { file: SESSION, find: 'sent.now + granted.ttl - margin', put: 'sent.now + 2 * granted.ttl - margin' },
    {
      file: SESSION,
      find: 'sent.now + this.ttl - this.#margin',
      put: 'sent.now + 2 * this.ttl - this.#margin',
    },
  ],
  'trust in the timer instead of the clock': [distrustsLate],
  'still held while waiting for the next session': [
    { file: SESSION, find: 'this.#ended ??= why;', put: 'void why;' },
    distrustsLate,
    {
      file: MACHINE,
      find: 'if (ends(event, state.session)) return lose(undefined, event.reason);',
      put: "if (event.type === 'session-live') return lose(event.session, 'deadline');",
    },
  ],
  'a late renewal resurrects': [
    {
      file: KEEPER,
      find: "if (this.#clock.now() >= session.deadline) return 'deadline';\n        // A doubt",
      put: '// A doubt',
    },
    { file: KEEPER, find: 'Math.min(session.deadline - now, session.ttl / 3)', put: 'session.ttl' },
  ],
  'no check of the deadline after a wait': [
    { file: MACHINE, find: 'if (!event.trusted)', put: 'if (false as boolean)' },
    takesEnded,
    {
      file: 'sync/callers/lock.ts',
      find: 'if (grant.held) this.#settle',
      put: 'this.#settle',
    },
  ],
  'no re-check of earlier contenders after the predecessor went': [
    {
      file: QUEUE,
      find: 'if (predecessor === undefined) return { contender, first: true };',
      put: 'if (predecessor?.key !== first) return { contender, first: true };',
    },
    {
      file: QUEUE,
      find: '    let suspect: string | undefined;',
      put: '    const first = ahead.predecessor;\n    let suspect: string | undefined;',
    },
  ],
  'release without a condition': [
    { file: RECORD, find: 'when: [{ key, revision }]', put: 'when: revision < 0n ? [] : []' },
  ],
  'token that restarts after a delete': [
    { file: RACE, find: 'token: result.revision }', put: 'token: 1n }' },
    { file: QUEUE, find: 'token: created }', put: 'token: created > 0n ? 1n : 1n }' },
  ],
  'an unknown commit taken for a failure': [
    {
      file: LEFTOVERS,
      find: 'this.#until = this.#host.clock.now() + Math.max(session.ttl, LATEST_ARRIVAL);',
      put: 'void session;',
    },
    {
      file: MACHINE,
      find: "  if (ends(event, session)) return seek(undefined);\n  if (event.type === 'release') return release(session, undefined);\n  if (event.type === 'failed') return retry(session, state.place, event.pause, state.failures + 1);\n  if (event.type !== 'attempted')",
      put: "  if (ends(event, session)) return seek(undefined);\n  if (event.type === 'release') return { state: IDLE, notices: [{ tell: 'released' }] };\n  if (event.type === 'failed') return retry(session, state.place, event.pause, state.failures + 1);\n  if (event.type !== 'attempted')",
    },
  ],
  'an unknown commit taken for a success': [
    {
      file: CONTENDER,
      find: 'result = await this.#contention.attempt(this.#contest(session), state.place, attempt.signal);',
      put: "result = await this.#contention.attempt(this.#contest(session), state.place, attempt.signal).catch(() => ({ outcome: 'acquired' as const, holding: { record: this.#contention.record(this.#path, session.id), session: session.id, revision: 0n, token: BigInt(Math.ceil(this.#host.clock.now() * 1e6)) } }));",
    },
  ],
  'session closed before the keys are released': [
    {
      file: 'sync/manager/stop.ts',
      find: 'await until(RELEASES_SHARE, releaseAll(ending, bound * LEADER_SHARE));',
      put: 'await keeper.stop();\n  await until(RELEASES_SHARE, releaseAll(ending, bound * LEADER_SHARE));',
    },
  ],
  "abort that leaves the waiter's record": [
    {
      file: LOCAL,
      find: 'if (this.#tickets.length === 0) return this.#giveUp(ticket, impatient);',
      put: 'if (this.#tickets.length === 0) return Promise.resolve();',
    },
  ],
  'a try that waits until the store is back': [
    { file: LOCAL, find: 'return this.#failed || this.#keeper.impaired;', put: 'return false;' },
    {
      file: LOCAL,
      find: 'this.#trouble = error;\n    this.#tickets.first?.failing(error);',
      put: 'this.#trouble = error;',
    },
  ],
  'stale continuation applied to a newer epoch': [
    { file: MACHINE, find: "if ('of' in event && event.of !== state) return stay(state);", put: '' },
    { file: CONTENDER, find: 'trusted: session.trusted', put: 'trusted: true as boolean' },
  ],
  'local hand-off after the grant was lost': [
    {
      file: LOCAL,
      find: "if (state.name !== 'held' || !state.session.trusted) return false;",
      put: "if (state.name !== 'held') return false;",
    },
    takesEnded,
  ],
  'local hand-off while a write of the one before is on its way': [
    { file: LOCAL, find: 'if (from.unsure) return false;', put: '' },
  ],
  'a write under a proof that was handed on': [
    {
      file: 'sync/callers/guarded-commit.ts',
      find: 'if (over) {',
      put: 'if (over && (false as boolean)) {',
    },
  ],
  'a proof that does not say whose it is passes for the one who holds now': [
    { file: PROOFS, find: 'handOff = 0 }', put: 'handOff }' },
    {
      file: PROOFS,
      find: 'return latest.isOwner.handOff === handOff &&',
      put: 'return (handOff ?? latest.isOwner.handOff) === latest.isOwner.handOff &&',
    },
  ],
  'a record that went is not noticed': [
    { file: HELD, find: 'if (loss !== undefined) {', put: "if (loss === 'record-overwritten') {" },
  ],
  'an unknown outcome taken for a refusal by its code': [
    {
      file: BACKOFF,
      find: "return isSyncError(error) && error.outcome === 'refused';",
      put: "return isSyncError(error) && error.code !== 'unavailable' && error.code !== 'bad-response';",
    },
  ],
  'the same, of guarded writes only': [
    {
      file: 'sync/callers/grant.ts',
      find: 'if (!wasRefused(error)) this.#unsure = true;',
      put: "if (!wasRefused(error) && ['unavailable', 'bad-response'].includes((error as { code?: string }).code ?? 'unavailable')) this.#unsure = true;",
    },
  ],
  'a reset of the store forgotten with a failed clean-up': [
    {
      file: RESET,
      find: 'remember(before, result.revision);\n      await takeBack(puts, signal);',
      put: 'if (await takeBack(puts, signal)) remember(before, result.revision);',
    },
    { file: RESET, find: 'remember(from, revision);\n    if (!(await takeBack', put: 'if (!(await takeBack' },
    {
      file: RESET,
      find: "if (!(await takeBack([{ key, session }], signal))) throw reset('unknown');",
      put: "if (!(await takeBack([{ key, session }], signal))) throw new Error('not taken back');\n    remember(from, revision);",
    },
  ],
  'a put without an answer says nothing of a reset': [
    { file: OWN_PUTS, find: 'trace.lost = true;', put: 'trace.lost = true;\n    trace.floor = NEVER;' },
  ],
  'a record of before a reset taken for a put that had no answer': [
    {
      file: OWN_PUTS,
      find: 'if (known === undefined && floor !== undefined && revision <= floor',
      put: 'if (known === undefined && trace.lost && floor !== undefined && revision <= floor',
    },
  ],
  'local hand-off of a record that is gone: not watched while somebody waits': [
    {
      file: CONTENDER,
      find: 'this.#listener.crowded\n      ? context.run(() => clock.after(UNWATCHED_CROWDED, watch))\n      : unwatched.after(watch);',
      put: 'unwatched.after(watch);',
    },
    {
      file: CONTENDER,
      find: "if (state.name !== 'held' || this.#watching instanceof HeldWatch) return;",
      put: "if (state.name !== 'held' || this.#watching !== undefined) return;",
    },
  ],
  'missed wake-up: the cursor is taken after the read': [
    {
      file: QUEUE,
      find: 'const wait = suspect === undefined',
      put: '({ at } = await contest.backend.query(aheadOf(contest, contender), { signal }));\n      const wait = suspect === undefined',
    },
  ],
};

/** A copy of the library with that mistake in it. Throws if a patch does not fit any more. */
export async function loadMutant(name: string): Promise<Subject> {
  const patches = mutants[name];
  if (patches === undefined) throw new Error(`no such mutant: ${name}`);
  const home = join(root, '.cache', 'mutants', `${process.pid}-${name.replaceAll(/\W+/g, '-')}`);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  for (const part of ['async', 'contract', 'sync', 'backends/kit', 'backends/memory', 'index.ts']) {
    cpSync(join(root, 'src', part), join(home, 'src', part), { recursive: true });
  }
  for (const { file, find, put } of patches) {
    const path = join(home, 'src', file);
    const text = readFileSync(path, 'utf8');
    if (text.split(find).length !== 2) throw new Error(`mutant "${name}": not once in ${file}: ${find}`);
    writeFileSync(
      path,
      text.replace(find, () => put),
    );
  }
  try {
    const [core, memory] = await Promise.all(
      ['src/index.ts', 'src/backends/memory/index.ts'].map(
        (file) => import(pathToFileURL(join(home, file)).href),
      ),
    );
    const { SyncManager, SyncError } = core;
    return { SyncManager, SyncError, MemoryStore: memory.MemoryStore, memory: memory.memory };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
