import type { Backend, CommitResult } from 'holdfast';
import { withVerbs } from '../with-verbs.ts';

/** What one client asked of its server. */
export interface Counts {
  commits: number;
  queries: number;
  /** Blocking queries that ended, by a change or by their bound. */
  wakes: number;
}

/** The same backend, with its requests counted. */
export function counted(backend: Backend): { readonly backend: Backend; readonly counts: Counts } {
  const counts: Counts = { commits: 0, queries: 0, wakes: 0 };
  return {
    counts,
    backend: withVerbs(backend, {
      commit: (commit, signal): Promise<CommitResult> => {
        counts.commits++;
        return backend.commit(commit, signal);
      },
      query: async (scope, options) => {
        counts.queries++;
        const result = await backend.query(scope, options);
        if (options.since !== undefined) counts.wakes++;
        return result;
      },
    }),
  };
}
