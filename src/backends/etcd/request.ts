import type { Commit, Condition, Mutation, Scope } from '../../contract/backend.ts';
import type { Peers } from './bounded.ts';
import { leaseOf, NO_LEASE } from './lease.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

/**
 * Requests as they are on the wire: a thousand commits that are issued together spend more on messages made of objects
 * than on all the rest. Tags are those of etcd's `rpc.proto`: the field's number * 8 + its layout, which is 0 for numbers and 2
 * for all that has a length. A message is written from its end, so its last field comes first here.
 */
const Txn = { compare: 0x0a, success: 0x12, failure: 0x1a } as const;
const Op = { range: 0x0a, put: 0x12, deleteRange: 0x1a, txn: 0x22 } as const;
const Compare = { target: 0x10, key: 0x1a, create: 0x28, mod: 0x30, lease: 0x40 } as const;
/** The result that is compared for is 0, `Equal`, which is what a missing one means. */
const Target = { create: 1, mod: 2, lease: 4 } as const;
const Put = { key: 0x0a, value: 0x12, lease: 0x18 } as const;
const DeleteRange = { key: 0x0a } as const;
const Range = {
  key: 0x0a,
  end: 0x12,
  limit: 0x18,
  revision: 0x20,
  order: 0x28,
  target: 0x30,
  countOnly: 0x48,
  minCreate: 0x60,
  maxCreate: 0x68,
} as const;
const Order = { ascend: 1, descend: 2 } as const;
const BY_CREATION = 2;

/** The methods that take them. */
export const RANGE = '/etcdserverpb.KV/Range';
export const TXN = '/etcdserverpb.KV/Txn';

const writer = new ProtobufWriter();

export function encodeTxn({ when, then, read, count }: Commit): Buffer {
  writer.start();
  if (read !== undefined) {
    writeReading(Txn.failure, read);
    writeReading(Txn.success, read);
  }
  if (count !== undefined) writeCounting(count);
  for (let n = then.length - 1; n >= 0; n--) writeMutation(then[n] as Mutation);
  for (let n = when.length - 1; n >= 0; n--) writeCondition(when[n] as Condition);
  return writer.finish();
}

/** What is read for nothing but to be asked who reads it. There is no such key: NUL is in none of ours. */
const NOBODYS = '\0';

/**
 * Transactions in one, which has no conditions of its own. The server looks at the rights to its own operations only, and not
 * at those of what is nested in it (3.5.16); without one of its own, whoever has no login would be let in.
 */
export function encodeGroup(transactions: readonly Buffer[]): Buffer {
  writer.start();
  const from = writer.written;
  writeNumber(Range.countOnly, 1);
  writeText(Range.key, NOBODYS);
  writer.head(Op.range, from);
  writer.head(Txn.success, from);
  for (let n = transactions.length - 1; n >= 0; n--) {
    const from = writer.written;
    writer.bytes(transactions[n] as Buffer);
    writer.head(Op.txn, from);
    writer.head(Txn.success, from);
  }
  return writer.finish();
}

export function encodeRange(scope: Scope | Peers): Buffer {
  writer.start();
  writeScope(scope);
  return writer.finish();
}

/** Several reads, in one step. */
export function encodeReads(scopes: readonly (Scope | Peers)[]): Buffer {
  writer.start();
  for (let n = scopes.length - 1; n >= 0; n--) writeReading(Txn.success, scopes[n] as Scope | Peers);
  return writer.finish();
}

function writeReading(tag: number, scope: Scope | Peers): void {
  const from = writer.written;
  writeScope(scope);
  writer.head(Op.range, from);
  writer.head(tag, from);
}

function writeCounting(prefix: string): void {
  const from = writer.written;
  writeNumber(Range.countOnly, 1);
  writePrefix(prefix);
  writer.head(Op.range, from);
  writer.head(Txn.success, from);
}

/** Of a bounded one, one record more than it shows: see `exactly`. */
function writeScope(scope: Scope | Peers): void {
  if (scope.key !== undefined) {
    writeText(Range.key, scope.key);
    return;
  }
  if ('asOf' in scope) {
    writeInt64(Range.maxCreate, scope.created);
    writeInt64(Range.minCreate, scope.created);
    writeInt64(Range.revision, scope.asOf);
  } else if (scope.oldest !== undefined) {
    writeNumber(Range.target, BY_CREATION);
    writeNumber(Range.order, Order.ascend);
    writeNumber(Range.limit, scope.oldest + 1);
  } else if (scope.youngest !== undefined) {
    // 0 would mean "no bound", where "none" is meant. A negative bound excludes everything.
    writeInt64(Range.maxCreate, scope.before > 1n ? scope.before - 1n : -1n);
    writeNumber(Range.target, BY_CREATION);
    writeNumber(Range.order, Order.descend);
    writeNumber(Range.limit, scope.youngest + 1);
  }
  writePrefix(scope.prefix);
}

function writePrefix(prefix: string): void {
  const from = writer.written;
  // NUL is the beginning as a key, and as an end stands for none.
  writer.text(prefix === '' ? '\0' : prefix);
  // No byte of UTF-8 is 0xff, so there is never a carry.
  if (prefix !== '') writer.next(writer.written - from);
  writer.head(Range.end, from);
  writeText(Range.key, prefix === '' ? '\0' : prefix);
}

function writeMutation(mutation: Mutation): void {
  const from = writer.written;
  if (mutation.remove !== undefined) {
    writeText(DeleteRange.key, mutation.remove);
    writer.head(Op.deleteRange, from);
  } else {
    const { put, value, session } = mutation;
    if (session !== undefined) writeInt64(Put.lease, leaseOf(session));
    const end = writer.written;
    writer.bytes(value);
    writer.head(Put.value, end);
    writeText(Put.key, put);
    writer.head(Op.put, from);
  }
  writer.head(Txn.success, from);
}

function writeCondition(condition: Condition): void {
  const from = writer.written;
  if (condition.revision !== undefined)
    writeCompare(condition.key, Compare.mod, condition.revision, Target.mod);
  else if (condition.session !== undefined) {
    writeCompare(condition.key, Compare.lease, leaseOf(condition.session), Target.lease);
  } else {
    switch (condition.is) {
      case 'absent':
        writeCompare(condition.key, Compare.create, 0n, Target.create);
        break;
      case 'unowned':
        // True for a key that does not exist, too.
        writeCompare(condition.key, Compare.lease, NO_LEASE, Target.lease);
        break;
    }
  }
  writer.head(Txn.compare, from);
}

function writeCompare(key: string, tag: number, value: bigint, target: number): void {
  writeInt64(tag, value);
  writeText(Compare.key, key);
  writeNumber(Compare.target, target);
}

function writeText(tag: number, text: string): void {
  const from = writer.written;
  writer.text(text);
  writer.head(tag, from);
}

function writeNumber(tag: number, value: number): void {
  writer.varint(value);
  writer.varint(tag);
}

function writeInt64(tag: number, value: bigint): void {
  writer.int64(value);
  writer.varint(tag);
}
