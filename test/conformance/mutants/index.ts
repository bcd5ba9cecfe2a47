import { commitMutants } from './commits.ts';
import type { Mutant } from './mutant.ts';
import { queryMutants } from './queries.ts';
import { recordMutants } from './records.ts';
import { sessionMutants } from './sessions.ts';
import { sqlMutants } from './sql.ts';
import { watchMutants } from './watches.ts';

export type { Mutant };

export const mutants: readonly Mutant[] = [
  ...queryMutants,
  ...commitMutants,
  ...recordMutants,
  ...sessionMutants,
  ...watchMutants,
  ...sqlMutants,
];
