// Compiled by `npm run typecheck`, never run: what users may write of `holdfast/testing`, and what must not compile.
import { LockInvariants, type LockViolation, VirtualClock } from 'holdfast/testing';

declare function same<T>(value: T): <U extends T>(other: U & (T extends U ? U : never)) => void;

const clock = new VirtualClock();
const invariants = new LockInvariants({ now: () => clock.now(), operated: true });
invariants.granted({ client: 'a', token: 1n });
invariants.believed([{ client: 'a', token: 1n }]);
invariants.handedOn({ client: 'a', token: 2n }, 5);
for (const { rule, at } of invariants.violations) {
  same<LockViolation['rule']>(rule)('a token fell' as LockViolation['rule']);
  same<number>(at)(0 as number);
}

// @ts-expect-error a token has 64 bits, more than a number
invariants.granted({ client: 'a', token: 1 });
// @ts-expect-error what was seen stays
invariants.violations.pop();
// @ts-expect-error a clock gives its time by a function
new LockInvariants({ now: clock });
