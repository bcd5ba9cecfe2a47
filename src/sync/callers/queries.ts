import { onAbort } from '../../async/signal-listeners.ts';
import { throwIfAborted } from '../../async/sleep.ts';
import type { QueryOptions, QueryResult, Scope } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import { checkNames, invalid, type Names } from '../../contract/options.ts';
import { checkWait } from '../../contract/validate.ts';
import { CALL, checkCallOptions } from './call-options.ts';
import type { CallersHost } from './callers-host.ts';
import { checkScope } from './guarded-commit.ts';

export type SyncQueryOptions = Partial<QueryOptions>;

const QUERY: Names<SyncQueryOptions> = { since: true, wait: true, signal: true };

/** The looks of a manager's callers at plain data, which end with it. */
export class Queries {
  readonly #host: CallersHost;
  readonly #name: string;
  readonly #open = new Set<AbortController>();

  constructor(host: CallersHost, name: string) {
    this.#host = host;
    this.#name = name;
  }

  /** Checked, and as the store names it. Throws before any I/O. */
  scope(scope: Scope): Scope {
    const { keyspace } = this.#host;
    checkScope(scope, keyspace);
    return keyspace.scope(scope);
  }

  async run(scope: Scope, options: SyncQueryOptions): Promise<QueryResult> {
    const { backend, context, keyspace } = this.#host;
    const asked = this.scope(scope);
    checkNames(options, QUERY);
    const { since, wait, signal } = options;
    checkCallOptions(signal === undefined ? {} : { signal }, CALL);
    checkWait(wait);
    if (since !== undefined && typeof since !== 'string')
      throw invalid('since', 'must be a position that a query has given');
    throwIfAborted(signal);
    const controller = new AbortController();
    this.#open.add(controller);
    const unlisten =
      signal === undefined ? undefined : onAbort(signal, () => controller.abort(signal.reason));
    try {
      const bound = { ...(since === undefined ? {} : { since }), ...(wait === undefined ? {} : { wait }) };
      const query = (): Promise<QueryResult> => backend.query(asked, { ...bound, signal: controller.signal });
      const { records, at } = await context.run(query);
      return { records: keyspace.told(records), at };
    } finally {
      unlisten?.();
      this.#open.delete(controller);
    }
  }

  stop(): void {
    if (this.#open.size === 0) return;
    const stopped = new SyncError('stopped', `the manager "${this.#name}" was stopped`);
    for (const controller of this.#open) controller.abort(stopped);
  }
}
