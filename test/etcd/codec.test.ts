import { Etcd3 } from 'etcd3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseOf } from '../../src/backends/etcd/lease.ts';
import { decodeRange, decodeTxn } from '../../src/backends/etcd/reply.ts';
import { encodeGroup, encodeRange, encodeReads, encodeTxn } from '../../src/backends/etcd/request.ts';
import type { Commit, Scope } from '../../src/contract/backend.ts';
import { isSyncError } from '../../src/contract/errors.ts';
import { bytes } from './support.ts';

/** The reference: what npm etcd3's generated client makes of etcd's own definitions. */
interface Method {
  requestSerialize(request: object): Buffer;
  requestDeserialize(message: Buffer): object;
  responseSerialize(response: object): Buffer;
  responseDeserialize(message: Buffer): object;
}

const { Txn, Range } = await referenceMethods();

async function referenceMethods(): Promise<{ Txn: Method; Range: Method }> {
  const etcd = new Etcd3({ hosts: '127.0.0.1:1' });
  const { client } = etcd.kv as unknown as {
    client: {
      withConnection<T>(
        service: 'KV',
        take: (drawn: { resource: { getServiceClient(name: 'KV'): object } }) => T,
      ): Promise<T>;
    };
  };
  const kv = await client.withConnection('KV', ({ resource }) => resource.getServiceClient('KV'));
  etcd.close();
  return (kv.constructor as unknown as { service: { Txn: Method; Range: Method } }).service;
}

/** The request as an object of the reference. */
function objectOf({ when, then, read, count }: Commit): object {
  const reading = read === undefined ? [] : [{ request_range: rangeObjectOf(read) }];
  const counting =
    count === undefined ? [] : [{ request_range: { ...rangeObjectOf({ prefix: count }), count_only: true } }];
  return {
    compare: when.map((condition) => {
      const equal = { key: Buffer.from(condition.key), result: 'Equal' };
      if (condition.revision !== undefined)
        return { ...equal, target: 'Mod', mod_revision: String(condition.revision) };
      if (condition.session !== undefined)
        return { ...equal, target: 'Lease', lease: String(leaseOf(condition.session)) };
      return condition.is === 'absent'
        ? { ...equal, target: 'Create', create_revision: '0' }
        : { ...equal, target: 'Lease', lease: '0' };
    }),
    success: [
      ...then.map((mutation) => {
        if (mutation.remove !== undefined)
          return { request_delete_range: { key: Buffer.from(mutation.remove) } };
        const { put, value, session } = mutation;
        const lease = session === undefined ? '0' : String(leaseOf(session));
        return { request_put: { key: Buffer.from(put), value: Buffer.from(value), lease } };
      }),
      ...reading,
      ...counting,
    ],
    failure: reading,
  };
}

function rangeObjectOf(scope: Scope): object {
  if (scope.key !== undefined) return { key: Buffer.from(scope.key) };
  const key = Buffer.from(scope.prefix === '' ? '\0' : scope.prefix);
  const range_end = Buffer.from(key);
  if (scope.prefix !== '') range_end.writeUInt8(range_end.readUInt8(key.length - 1) + 1, key.length - 1);
  const range = { key, range_end };
  if (scope.oldest !== undefined)
    return { ...range, limit: String(scope.oldest + 1), sort_order: 'Ascend', sort_target: 'Create' };
  if (scope.youngest === undefined) return range;
  return {
    ...range,
    limit: String(scope.youngest + 1),
    sort_order: 'Descend',
    sort_target: 'Create',
    max_create_revision: String(scope.before > 1n ? scope.before - 1n : -1n),
  };
}

const again = (method: Method, request: object): object =>
  method.requestDeserialize(method.requestSerialize(request));

const MAX = 2n ** 63n - 1n;
const numbers = [
  0n,
  1n,
  127n,
  128n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 60n + 7n,
  MAX,
];

const key = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).filter((text) => !text.includes('\0')),
  fc.constantFrom('ä', 'k/.lock/5f1e', 'x'.repeat(5_000), '👩‍🚀', '\u007f', '\u0080'),
);
const revision = fc.oneof(fc.constantFrom(...numbers), fc.bigInt({ min: 0n, max: MAX }));
const session = fc.oneof(
  fc.bigInt({ min: 1n, max: MAX }).map((id) => id.toString(16)),
  fc.constantFrom('0', 'not a session', '7fffffffffffffff', '1'),
);
const value = fc.uint8Array({ maxLength: 300 });
const count = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const scope: fc.Arbitrary<Scope> = fc.oneof(
  fc.record({ key }),
  fc.record({ prefix: fc.oneof(key, fc.constant('')) }),
  fc.record({ prefix: key, oldest: count }),
  fc.record({ prefix: key, youngest: count, before: revision }),
);
const step = {
  when: fc.array(
    fc.oneof(
      fc.record({ key, is: fc.constantFrom('absent' as const, 'unowned' as const) }),
      fc.record({ key, revision }),
      fc.record({ key, session }),
    ),
    { maxLength: 4 },
  ),
  then: fc.array(
    fc.oneof(
      fc.record({ put: key, value }),
      fc.record({ put: key, value, session }),
      fc.record({ remove: key }),
    ),
    { maxLength: 4 },
  ),
};
const commit: fc.Arbitrary<Commit> = fc.oneof(
  fc.record({ ...step, read: scope }, { requiredKeys: ['when', 'then'] }),
  fc.record({ ...step, count: fc.oneof(key, fc.constant('')) }),
);

describe('requests', () => {
  it('are those of the reference', () => {
    fc.assert(
      fc.property(commit, (wanted) => {
        expect(Txn.requestDeserialize(encodeTxn(wanted))).toEqual(again(Txn, objectOf(wanted)));
      }),
    );
    fc.assert(
      fc.property(scope, (wanted) => {
        expect(Range.requestDeserialize(encodeRange(wanted))).toEqual(again(Range, rangeObjectOf(wanted)));
      }),
    );
  });

  it('for the records of one commit, as of a revision, are those of the reference', () => {
    fc.assert(
      fc.property(fc.record({ prefix: key, created: revision, asOf: revision }), (peers) => {
        const { prefix, created, asOf } = peers;
        const range = {
          ...rangeObjectOf({ prefix }),
          revision: String(asOf),
          min_create_revision: String(created),
          max_create_revision: String(created),
        };
        expect(Range.requestDeserialize(encodeRange(peers))).toEqual(again(Range, range));
      }),
    );
  });

  it('for several keys are one transaction', () => {
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 8 }), (keys) => {
        const success = keys.map((each) => ({ request_range: rangeObjectOf({ key: each }) }));
        expect(Txn.requestDeserialize(encodeReads(keys.map((key) => ({ key }))))).toEqual(
          again(Txn, { compare: [], success, failure: [] }),
        );
      }),
    );
  });

  it('are nested in one in their order, behind a look of its own that makes the server ask who asks', () => {
    fc.assert(
      fc.property(fc.array(commit, { minLength: 1, maxLength: 8 }), (wanted) => {
        const look = { request_range: { key: Buffer.from('\0'), count_only: true } };
        const success = [...wanted.map((member) => ({ request_txn: objectOf(member) })), look];
        expect(Txn.requestDeserialize(encodeGroup(wanted.map(encodeTxn)))).toEqual(
          again(Txn, { compare: [], success, failure: [] }),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('take values of the largest size, and nothing is left of one that came to nothing', () => {
    const large = { when: [], then: [{ put: 'a', value: new Uint8Array(1024 * 1024).fill(7) }] };
    const small = { when: [{ key: 'b', is: 'absent' as const }], then: [{ remove: 'b' }] };
    const encoded = encodeTxn(large);
    const broken = { put: 'c', value: undefined as unknown as Uint8Array };
    expect(() => encodeTxn({ when: [], then: [broken, { remove: 'd' }] })).toThrow();
    expect(Txn.requestDeserialize(encodeTxn(small))).toEqual(again(Txn, objectOf(small)));
    // As bytes: to compare a million elements one by one takes seconds.
    const decoded = Txn.requestSerialize(Txn.requestDeserialize(encoded));
    expect(decoded.equals(Txn.requestSerialize(again(Txn, objectOf(large))))).toBe(true);
  });
});

interface Kv {
  key: Uint8Array;
  value: Uint8Array;
  create: bigint;
  mod: bigint;
  lease: bigint;
}

const header = (at: bigint) => ({
  cluster_id: String(2n ** 64n - 1n),
  member_id: '9372538179322589801',
  revision: String(at),
  raft_term: '3',
});
const kvObjectOf = ({ key, value, create, mod, lease }: Kv) => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  create_revision: String(create),
  mod_revision: String(mod),
  version: '1',
  lease: String(lease),
});
const recordOf = (kv: Kv) => ({
  key: Buffer.from(kv.key).toString(),
  value: kv.value,
  session: kv.lease === 0n ? undefined : kv.lease.toString(16),
  created: kv.create,
  revision: kv.mod,
});
const kv = fc.record({
  key: key.map(bytes),
  value,
  create: revision,
  mod: revision,
  lease: revision,
});
const kvs = fc.array(kv, { maxLength: 5 });
const rangeObject = (found: readonly Kv[], more = false, total = 9) => ({
  header: header(7n),
  kvs: found.map(kvObjectOf),
  more,
  count: String(total),
});
const txnObject = (succeeded: boolean, found: readonly Kv[] | undefined) => ({
  header: null,
  succeeded,
  responses: [
    { response_put: { header: header(5n) } },
    { response_delete_range: { header: header(5n), deleted: '1' } },
    ...(found === undefined ? [] : [{ response_range: rangeObject(found) }]),
  ],
});

const sample: Kv = { key: bytes('k/5f1e'), value: bytes('{}'), create: 12n, mod: 300n, lease: 0x5f1en };

/** One of each layout, under numbers that no message of etcd has. */
const unknown = Buffer.from([
  ...[0xa0, 0x3f, 0xff, 0xff, 0x03],
  ...[0xa1, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0xa2, 0x3f, 3, 9, 9, 9],
  ...[0xa3, 0x3f, 0xab, 0x3f, 0x08, 0x01, 0xac, 0x3f, 0x12, 1, 0, 0xa4, 0x3f],
  ...[0xa5, 0x3f, 1, 2, 3, 4],
]);

/** A field that has a length, which takes two bytes always. */
const part = (number: number, ...contents: Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  const head = [number * 8 + 2, (content.length & 0x7f) | 0x80, content.length >> 7];
  return Buffer.concat([Buffer.from(head), content]);
};

describe('replies', () => {
  it('are those of the reference', () => {
    fc.assert(
      fc.property(kvs, revision, fc.boolean(), (found, at, more) => {
        const message = Range.responseSerialize({ ...rangeObject(found, more), header: header(at) });
        expect(decodeRange(message)).toEqual({ records: found.map(recordOf), revision: at, more, count: 9 });
      }),
    );
    fc.assert(
      fc.property(fc.option(kvs, { nil: undefined }), revision, fc.boolean(), (found, at, succeeded) => {
        const message = Txn.responseSerialize({ ...txnObject(succeeded, found), header: header(at) });
        expect(decodeTxn(message)).toEqual({
          revision: at,
          succeeded,
          records: found?.map(recordOf),
          count: found === undefined ? 0 : 9,
          parts: undefined,
        });
      }),
    );
    fc.assert(
      fc.property(fc.array(kvs, { minLength: 1, maxLength: 4 }), count, (reads, total) => {
        const responses = reads.map((found, n) => ({
          response_range: rangeObject(found, false, n === reads.length - 1 ? total : 9),
        }));
        const message = Txn.responseSerialize({ header: header(7n), succeeded: true, responses });
        expect(decodeTxn(message)).toMatchObject({ records: reads.flat().map(recordOf), count: total });
      }),
    );
    const member = fc.record({ succeeded: fc.boolean(), found: fc.option(kvs, { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 10 }), revision, (members, at) => {
        const responses = members.map(({ succeeded, found }) => ({
          response_txn: txnObject(succeeded, found),
        }));
        const { parts, revision: decoded } = decodeTxn(
          Txn.responseSerialize({ header: header(at), succeeded: true, responses }),
        );
        expect(decoded).toBe(at);
        expect(parts).toMatchObject(
          members.map(({ succeeded, found }) => ({ succeeded, records: found?.map(recordOf) })),
        );
      }),
      { numRuns: 20 },
    );
  });

  it('hold nothing of the message in their values', () => {
    const message = Range.responseSerialize(rangeObject([sample]));
    const { records } = decodeRange(message);
    message.fill(0);
    expect(records).toEqual([recordOf(sample)]);
    expect(records[0]?.value.buffer.byteLength).toBe(2);
  });

  it.each([[[0xff]], [[0x61, 0xc3]], [[0xed, 0xa0, 0x80]]])('mark the key %j as foreign', (raw) => {
    const found = [{ ...sample, key: new Uint8Array(raw) }];
    expect(decodeRange(Range.responseSerialize(rangeObject(found))).records).toMatchObject([
      { foreign: 'its key is not UTF-8' },
    ]);
  });

  it('do not take a key with U+FFFD for one that is not UTF-8', () => {
    const found = [{ ...sample, key: bytes('a\ufffd') }];
    expect(decodeRange(Range.responseSerialize(rangeObject(found))).records).toEqual(found.map(recordOf));
  });

  it('may have fields that are not known here, anywhere', () => {
    const head = part(1, unknown, Buffer.from([0x18, 42]), unknown);
    const record = part(2, unknown, part(1, bytes('k')), unknown, Buffer.from([0x30, 0x1e]));
    const range = part(1, unknown, record, unknown);
    const message = Buffer.concat([unknown, head, Buffer.from([0x10, 1]), part(3, range, unknown), unknown]);
    expect(decodeTxn(message)).toMatchObject({
      revision: 42n,
      succeeded: true,
      records: [{ key: 'k', session: '1e' }],
    });
  });

  const whole = Txn.responseSerialize({ ...txnObject(true, [sample, sample]), header: header(MAX) });

  it('that are cut off are no answer, or say less', () => {
    for (let length = 0; length < whole.length; length++) {
      const outcome = outcomeOf(() => decodeTxn(whole.subarray(0, length)));
      if (outcome === 'bad-response') continue;
      const { responses } = Txn.responseDeserialize(whole.subarray(0, length)) as { responses: object[] };
      expect(outcome.revision).toBe(MAX);
      expect(outcome.records).toEqual(responses.length === 3 ? [sample, sample].map(recordOf) : undefined);
    }
  });

  it('of random bytes, or with one that is wrong, are an answer or `bad-response`, and nothing else', () => {
    const decoders = [decodeTxn, decodeRange];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        for (const decode of decoders) outcomeOf(() => decode(Buffer.from(noise)));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (place, byte) => {
        const message = Buffer.from(whole);
        message[place] = byte;
        for (const decode of decoders) outcomeOf(() => decode(message));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each<[string, number[]]>([
    ['nothing', []],
    ['no header', [0x10, 1]],
    ['a length beyond the end', [0x0a, 0x7f, 0x18, 1]],
    ['a length beyond all bounds', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a number of eleven bytes', [0x0a, 0x0c, 0x18, ...Array(10).fill(0xff), 1]],
    ['a number that is cut off', [0x0a, 0x02, 0x18, 0x80]],
    ['a number that runs over the end of its part', [0x0a, 0x02, 0x18, 0x80, 0x01]],
    ['a field without a number', [0x0a, 0x02, 0x18, 1, 0x02, 0]],
    ['a field of no known layout', [0x0a, 0x02, 0x18, 1, 0x0f]],
    ['a group without an end', [0x0a, 0x02, 0x18, 1, 0xa3, 0x3f]],
    ['the end of no group', [0x0a, 0x02, 0x18, 1, 0xa4, 0x3f]],
    ['a fixed number that is cut off', [0x0a, 0x02, 0x18, 1, 0xa1, 0x3f, 1]],
  ])('with %s are `bad-response`', (_, raw) => {
    expect(outcomeOf(() => decodeTxn(Buffer.from(raw)))).toBe('bad-response');
  });

  it('of transactions nested without end are `bad-response`, not a stack that overflows', () => {
    let message: Buffer = Buffer.from([0x10, 1]);
    for (let depth = 0; depth < 30; depth++) message = part(3, part(4, message));
    expect(outcomeOf(() => decodeTxn(message))).toBe('bad-response');
  });
});

function outcomeOf<T>(decode: () => T): T | 'bad-response' {
  try {
    return decode();
  } catch (error) {
    if (isSyncError(error, 'bad-response')) return 'bad-response';
    throw error;
  }
}
