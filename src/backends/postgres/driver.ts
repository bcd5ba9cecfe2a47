import { monotonic } from '../../async/platform.ts';
import { Window } from '../../async/window.ts';
import type {
  BackendTraits,
  Commit,
  CommitResult,
  Cursor,
  QueryResult,
  Revision,
  Scope,
  SessionOptions,
} from '../../contract/backend.ts';
import type { SyncError } from '../../contract/errors.ts';
import type { Cancel, Done, Driver, Lane, Request, Verdict } from '../kit/driver.ts';
import { queuePath } from '../kit/keys.ts';
import { digestOf, encodeCursor, seenOf } from './cursor.ts';
import type { Row } from './database.ts';
import { isNotDone, isOfOne, isStale } from './errors.ts';
import { follow } from './follow.ts';
import { keys } from './keys.ts';
import { OpenTransactions } from './open-transactions.ts';
import { OwnSessions } from './own-sessions.ts';
import { placesOf } from './scope.ts';
import type { Listened, Server } from './server.ts';
import { type Form, formOf, recordOf, resultOf, type Said, scopeArrays, sizeOf } from './statements.ts';
import { commitWithin } from './within.ts';

const MOST_MEMBERS = 200;
const MOST_BYTES = 1024 * 1024;
/** Requests under way at a time: each takes a connection of the pool. */
const MOST_WRITES = 2;
const MOST_READS = 1;
/** What a session that cannot be buried yet is looked at again after, in milliseconds. */
const BURY_AGAIN = 100;
/** Of the last commits it is known how many notices had come before them. */
const MOST_MARKS = 20_000;

interface Prepared extends Request {
  readonly form: Form;
}

/** A session is a row with a time, a commit a call of a function. */
export class PostgresDriver implements Driver<Prepared> {
  readonly traits: BackendTraits;
  readonly keys = keys;
  readonly lanes: { readonly writes: Lane; readonly reads: Lane } = {
    writes: { window: new Window(MOST_WRITES), limits: { cost: MOST_MEMBERS, bytes: MOST_BYTES } },
    reads: { window: new Window(MOST_READS), limits: { cost: MOST_MEMBERS, bytes: MOST_BYTES } },
  };
  readonly follow?: NonNullable<Driver['follow']>;
  readonly positionOf?: NonNullable<Driver['positionOf']>;
  readonly #server: Server;
  readonly #transactions: OpenTransactions;
  readonly #sessions: OwnSessions;
  /** Where a commit stood when it was sent, by its revision. */
  readonly #marks = new Map<Revision, Listened>();

  constructor(server: Server, traits: BackendTraits) {
    this.traits = traits;
    this.#server = server;
    this.#sessions = new OwnSessions((id) => server.bury([id]));
    this.#transactions = new OpenTransactions(server);
    if (traits.wakes === 'polled') return;
    this.follow = (scope, since, news) => follow(server, scope, since, news, (key) => this.#isOurs(key));
    this.positionOf = (_, revision) => this.#positionOf(revision);
  }

  lockPath(key: string): string {
    return queuePath(key);
  }

  async open({ name, ttl }: SessionOptions): Promise<{ id: string; ttl: number }> {
    const granted = Math.ceil(ttl);
    // Who has a session is going to wait: what it looks at before it listens it would have to look at again.
    this.#server.notices?.begin();
    const id = await this.#server.surely(() => this.#server.open(name, granted));
    this.#sessions.add(id, granted);
    return { id, ttl: granted };
  }

  async renew(id: string): Promise<'renewed' | 'gone'> {
    const [row] = await this.#server.surely(() => this.#server.call('renew', [id], 'AS renewed', 'sessions'));
    // Who looks after his own session looks after those of others as well, that nobody else may notice.
    void this.#server.bury(undefined);
    if (row?.renewed === true) {
      this.#sessions.renewed(id);
      return 'renewed';
    }
    this.#sessions.delete(id);
    return 'gone';
  }

  async close(id: string): Promise<void> {
    await this.#server.surely(() => this.#server.call('close', [id], '', 'sessions'));
    this.#sessions.delete(id);
  }

  prepare(commit: Commit): Prepared {
    const form = formOf(commit, (session) => this.#sessions.has(session));
    return { commit, form, bytes: sizeOf(form), cost: 1 };
  }

  /** Those of one form go together; the forms side by side. */
  write(requests: readonly Prepared[], done: Done<CommitResult>): Cancel {
    const { position } = this.#server;
    const byForm = new Map<Form['form'], Prepared[]>();
    for (const request of requests) {
      const same = byForm.get(request.form.form);
      if (same === undefined) byForm.set(request.form.form, [request]);
      else same.push(request);
    }
    const verdicts = new Map<Prepared, Verdict<CommitResult>>();
    const parts = [...byForm].map(async ([form, members]) => {
      const told = await this.#send(form, members);
      for (const [n, member] of members.entries()) {
        const verdict = told[n] ?? 'again';
        verdicts.set(member, verdict);
        this.#mark(verdict, position);
      }
    });
    void Promise.all(parts).then(() => done(requests.map((request) => verdicts.get(request) ?? 'again')));
    return () => {};
  }

  async within(
    transaction: unknown,
    commit: Commit,
  ): Promise<{ readonly result: CommitResult; isOver(): Promise<boolean> }> {
    const { result, id } = await commitWithin(this.#server, transaction, commit);
    return { result, isOver: async () => id === undefined || (await this.#transactions.isOver(id)) };
  }

  read(scopes: readonly Scope[], done: Done<QueryResult>): Cancel {
    const { position } = this.#server;
    const sentAt = monotonic();
    const fields = "n, key, encode(value, 'hex') AS value, session, created::text, revision::text, left_ms";
    const args = '$2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bigint[]';
    this.#server
      .select(fields, 'look', args, scopeArrays(scopes))
      // What a function of the user's gives may be no row of this statement.
      .then((rows) => this.#shown(scopes, rows, position, sentAt))
      .then(done, (error: unknown) => {
        done(isStale(error) ? scopes.map(() => 'again') : this.#server.errorOf(error));
      });
    return () => {};
  }

  async end(): Promise<void> {
    this.#sessions.end();
    await this.#server.end();
  }

  #shown(scopes: readonly Scope[], rows: readonly Row[], position: Listened, sentAt: number): QueryResult[] {
    const byScope: Row[][] = scopes.map(() => []);
    for (const row of rows) byScope[Number(row.n)]?.push(row);
    const dead = new Set<string>();
    const results = scopes.map((scope, n) => {
      const all = byScope[n] as Row[];
      const limit = scope.oldest ?? scope.youngest ?? all.length;
      const shown = all.slice(0, limit);
      let ends = Number.POSITIVE_INFINITY;
      for (const { session, left_ms } of shown) {
        if (typeof session !== 'string' || this.#sessions.has(session)) continue;
        const left = Number(left_ms ?? 0);
        if (left <= 0) dead.add(session);
        ends = Math.min(ends, sentAt + (left > 0 ? left + 1 : BURY_AGAIN));
      }
      const records = shown.map(recordOf);
      if (this.follow === undefined) return { records, at: digestOf(records) };
      const at = encodeCursor({
        ...position,
        ...(ends < Number.POSITIVE_INFINITY && { ends }),
        ...seenOf(scope, records, all.length > limit),
      });
      return { records, at };
    });
    if (dead.size > 0) void this.#server.bury([...dead]);
    return results;
  }

  /** Never rejects. */
  async #send(form: Form['form'], members: readonly Prepared[]): Promise<Verdict<CommitResult>[]> {
    try {
      const forms = members.map((member) => member.form);
      if (form === 'enter') return await this.#enter(forms as Extract<Form, { form: 'enter' }>[]);
      if (form === 'leave') return await this.#leave(forms as Extract<Form, { form: 'leave' }>[]);
      return await this.#any(forms as Extract<Form, { form: 'any' | 'check' }>[], form);
    } catch (error) {
      if (isStale(error) || isNotDone(error)) return members.map(() => 'again');
      if (members.length > 1 && isOfOne(error)) return members.map(() => 'alone');
      const failure: SyncError = this.#server.errorOf(error);
      return members.map(() => failure);
    }
  }

  async #enter(forms: readonly Extract<Form, { form: 'enter' }>[]): Promise<Verdict<CommitResult>[]> {
    const [only] = forms;
    const fields = 'verdict, revision::text, members';
    const rows =
      forms.length === 1 && only !== undefined
        ? await this.#server.select(fields, 'enter', "$2, $3, decode($4, 'hex'), $5, $6::text[]", [
            only.key,
            only.queue,
            only.value,
            only.session,
            placesOf(only.key),
          ])
        : await this.#server.select(
            `n, ${fields}`,
            'enter_many',
            "$2::text[], $3::text[], (SELECT array_agg(decode(v, 'hex') ORDER BY nr) FROM unnest($4::text[]) WITH ORDINALITY AS w (v, nr)), $5::text[], $6::text[]",
            [
              forms.map(({ key }) => key),
              forms.map(({ queue }) => queue),
              forms.map(({ value }) => value),
              forms.map(({ session }) => session),
              placesOfAll(forms),
            ],
          );
    const verdicts: Verdict<CommitResult>[] = forms.map(() => 'again');
    for (const { n, verdict, revision, members } of rows) {
      verdicts[Number(n ?? 0)] =
        Number(verdict) > 0
          ? { ok: true, revision: BigInt(String(revision)), count: Number(members) }
          : { ok: false, why: Number(verdict) === 0 ? 'conflict' : 'session-gone' };
    }
    return verdicts;
  }

  async #leave(forms: readonly Extract<Form, { form: 'leave' }>[]): Promise<Verdict<CommitResult>[]> {
    const [only] = forms;
    if (forms.length === 1 && only !== undefined) {
      const { key, queue, revision } = only;
      const [row] = await this.#server.call('leave', [key, queue, revision, placesOf(key)], 'AS gone');
      return [row?.gone === true ? GONE : CONFLICT];
    }
    const rows = await this.#server.select(
      'n',
      'leave_many',
      '$2::text[], $3::text[], $4::bigint[], $5::text[]',
      [
        forms.map(({ key }) => key),
        forms.map(({ queue }) => queue),
        forms.map(({ revision }) => revision),
        placesOfAll(forms),
      ],
      'AS n',
    );
    const verdicts: Verdict<CommitResult>[] = forms.map(() => CONFLICT);
    for (const { n } of rows) verdicts[Number(n)] = GONE;
    return verdicts;
  }

  async #any(
    forms: readonly Extract<Form, { form: 'any' | 'check' }>[],
    form: 'any' | 'check',
  ): Promise<Verdict<CommitResult>[]> {
    const json = `[${forms.map((each) => each.json).join(',')}]`;
    const name = form === 'check' ? form : 'commit';
    const rows = await this.#server.select('said::text', name, '$2::text::jsonb', [json], 'AS said');
    const said = JSON.parse(String(rows[0]?.said)) as Said[];
    const dead = said.flatMap((each) => each.dead ?? []);
    // What is past its time is in the way: once it is buried, it is not.
    const buried = dead.length > 0 && (await this.#server.bury(dead)) > 0;
    return said.map((each): Verdict<CommitResult> => {
      return buried && (each.dead ?? []).length > 0 ? 'again' : resultOf(each);
    });
  }

  #isOurs(key: string): boolean {
    return this.#sessions.has(key.slice(key.lastIndexOf('/') + 1));
  }

  #mark(verdict: Verdict<CommitResult>, position: Listened): void {
    if (typeof verdict === 'string' || !('ok' in verdict) || !verdict.ok || verdict.revision === 0n) return;
    this.#marks.set(verdict.revision, position);
    if (this.#marks.size <= MOST_MARKS) return;
    const [oldest] = this.#marks.keys();
    if (oldest !== undefined) this.#marks.delete(oldest);
  }

  /** Who does not know any more reads. */
  #positionOf(revision: Revision): Cursor {
    return encodeCursor(this.#marks.get(revision) ?? { epoch: undefined, notices: 0 });
  }
}

const GONE: CommitResult = { ok: true, revision: 0n };
const CONFLICT: CommitResult = { ok: false, why: 'conflict' };

function placesOfAll(forms: readonly { readonly key: string }[]): string[] {
  return [...new Set(forms.flatMap(({ key }) => placesOf(key)))];
}
