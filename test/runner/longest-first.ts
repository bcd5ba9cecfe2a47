import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take a minute or more on a quiet machine, the longest first. */
const LONGEST = [
  'test/sync/schedules.test.ts',
  'test/simulation/locks/runs.test.ts',
  'test/real/bursts.test.ts',
  'test/simulation/mutants.test.ts',
  'test/simulation/leases/runs.test.ts',
  'test/package/first-minutes.test.ts',
  'test/real/stalled.test.ts',
  'test/runner/runner.test.ts',
  'test/real/contention.test.ts',
  'test/etcd/connections.test.ts',
  'test/orders/orders-service.test.ts',
  'test/real/contexts.test.ts',
  'test/leases/example.test.ts',
  'test/real/lock-set.test.ts',
];

/** The longest files begin first: begun last, one of them alone would keep the run from ending. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(relative(process.cwd(), moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}
