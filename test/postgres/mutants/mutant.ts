import type { Rule } from './rules.ts';

/** What stands exactly once in the SQL, and what is put in its place. */
export type Replacement = readonly [right: string, wrong: string];

/** A way for the schema to be wrong. */
export interface Mutant {
  readonly name: string;
  readonly replacements: readonly Replacement[];
  /** A case of the suite, by its name, or a rule of Postgres alone, that must notice. */
  readonly caughtBy: string | Rule;
}
