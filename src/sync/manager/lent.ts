import type { Backend } from '../../contract/backend.ts';
import { shareHistory } from './forward-only.ts';
import { verbsOf } from './verbs-of.ts';

/** A backend of another manager's, which goes on using it, and disposes of it. */
export function lent(backend: Backend): Backend {
  const verbs: Backend = { ...verbsOf(backend), [Symbol.asyncDispose]: () => Promise.resolve() };
  shareHistory(backend, verbs);
  return verbs;
}
