import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those that take the better part of a minute or more, the longest first. */
const LONGEST = [
  'test/simulation/locks/runs.test.ts',
  'test/sync/schedules.test.ts',
  'test/simulation/mutants.test.ts',
  'test/real/bursts.test.ts',
  'test/simulation/leases/runs.test.ts',
  'test/conformance/mutants.test.ts',
  'test/real/many-locks.test.ts',
  'test/package/first-minutes.test.ts',
  'test/runner/runner.test.ts',
  'test/demo/demo.test.ts',
  'test/leases/example.test.ts',
  'test/real/stalled.test.ts',
  'test/etcd/connections.test.ts',
  'test/conformance/default-servers.test.ts',
  'test/orders/orders-service.test.ts',
  'test/real/replies.test.ts',
  'test/real/tries.test.ts',
  'test/readme.test.ts',
  'test/conformance/postgres.test.ts',
  'test/real/contexts.test.ts',
  'test/postgres/pgbouncer.test.ts',
  'test/postgres/split-brain.test.ts',
  'test/postgres/versions.test.ts',
  'test/leases/killed.test.ts',
  'test/real/operators.test.ts',
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
