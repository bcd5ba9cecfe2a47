import type { Backend } from 'holdfast';
import { withVerbs } from '../with-verbs.ts';

/** One call of a backend. Instants are monotonic milliseconds. */
export interface Call {
  readonly verb: 'openSession' | 'renewSession' | 'closeSession' | 'query' | 'commit';
  /** The session or the record it is about. */
  readonly of: string;
  readonly sent: number;
  /** Absent while it is under way. */
  ended?: number;
  /** The code of the error it rejected with. */
  refused?: unknown;
}

export interface Recorded {
  readonly backend: Backend;
  readonly calls: Call[];
  /** The TTLs of the sessions that were opened, in milliseconds. */
  readonly granted: number[];
}

/** The same backend, with every call that does I/O written down. */
export function recorded(backend: Backend): Recorded {
  const calls: Call[] = [];
  const granted: number[] = [];
  const record = async <T>(verb: Call['verb'], of: string, work: () => Promise<T>): Promise<T> => {
    const call: Call = { verb, of, sent: performance.now() };
    calls.push(call);
    try {
      return await work();
    } catch (error) {
      call.refused = (error as { readonly code?: unknown }).code ?? error;
      throw error;
    } finally {
      call.ended = performance.now();
    }
  };
  return {
    calls,
    granted,
    backend: withVerbs(backend, {
      openSession: async (options, signal) => {
        const session = await record('openSession', '', () => backend.openSession(options, signal));
        granted.push(session.ttl);
        return session;
      },
      renewSession: (id, signal) => record('renewSession', id, () => backend.renewSession(id, signal)),
      closeSession: (id, signal) => record('closeSession', id, () => backend.closeSession(id, signal)),
      query: (scope, options) =>
        record('query', scope.key ?? scope.prefix, () => backend.query(scope, options)),
      commit: (commit, signal) =>
        record('commit', commit.when[0]?.key ?? '', () => backend.commit(commit, signal)),
    }),
  };
}
