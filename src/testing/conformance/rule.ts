import type { Bench } from './bench.ts';

export interface Rule {
  readonly name: string;
  readonly slow?: boolean;
  check(bench: Bench): Promise<void>;
}
