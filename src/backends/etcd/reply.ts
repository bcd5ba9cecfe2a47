import { messageOf } from '../../async/realms.ts';
import type { Revision, StoredRecord } from '../../contract/backend.ts';
import { badResponse } from './errors.ts';
import { ProtobufReader } from './protobuf-reader.ts';

export interface RangeReply {
  readonly records: readonly StoredRecord[];
  readonly revision: Revision;
  /** There are more than were asked for. */
  readonly more: boolean;
  /** How many there are of all. */
  readonly count: number;
}

/** What a transaction came to. Those that were nested in it are `parts`. */
export interface TxnOutcome {
  succeeded: boolean;
  /** What its operations read, if any was to read. */
  records: readonly StoredRecord[] | undefined;
  /** How many there were where the last of these looked. */
  count: number;
  parts: TxnOutcome[] | undefined;
}

export interface TxnReply extends TxnOutcome {
  /** That of the whole request, which is what all of its puts get. */
  readonly revision: Revision;
}

/** Tags as in `request.ts`. */
const Txn = { header: 0x0a, succeeded: 0x10, responses: 0x1a } as const;
const Op = { range: 0x0a, txn: 0x22 } as const;
const Range = { header: 0x0a, kvs: 0x12, more: 0x18, count: 0x20 } as const;
const Header = { revision: 0x18 } as const;
const KeyValue = { key: 0x0a, created: 0x10, modified: 0x18, value: 0x2a, lease: 0x30 } as const;

/** How deep transactions may be nested in each other here. */
const DEEPEST = 1;

export function decodeTxn(message: Buffer): TxnReply {
  return decode(message, (reader, end) => {
    const { revision, ...outcome } = readTxn(reader, end, 0);
    return { ...outcome, revision: known(revision) };
  });
}

export function decodeRange(message: Buffer): RangeReply {
  return decode(message, (reader, end) => {
    const { revision, ...rest } = readRange(reader, end);
    return { ...rest, revision: known(revision) };
  });
}

/** Of a transaction that only reads, what each of its operations has found. */
export function decodeReads(message: Buffer): RangeReply[] {
  return decode(message, (reader, end) => {
    let revision: Revision | undefined;
    const found: Omit<RangeReply, 'revision'>[] = [];
    while (reader.within(end)) {
      const tag = reader.tag();
      if (tag === Txn.header) revision = readHeader(reader, reader.enter(end));
      else if (tag === Txn.responses) {
        const opEnd = reader.enter(end);
        while (reader.within(opEnd)) {
          const op = reader.tag();
          if (op === Op.range) found.push(readRange(reader, reader.enter(opEnd)));
          else reader.skip(op, opEnd);
        }
      } else reader.skip(tag, end);
    }
    const at = known(revision);
    return found.map(({ records, more, count }) => ({ records, more, count, revision: at }));
  });
}

function decode<T>(message: Buffer, read: (reader: ProtobufReader, end: number) => T): T {
  try {
    return read(new ProtobufReader(message), message.length);
  } catch (error) {
    throw badResponse('the server', messageOf(error));
  }
}

function known(revision: Revision | undefined): Revision {
  if (revision === undefined) throw new Error('no header');
  return revision;
}

function readTxn(
  reader: ProtobufReader,
  end: number,
  depth: number,
): TxnOutcome & { revision: Revision | undefined } {
  if (depth > DEEPEST) throw new Error('transactions in transactions');
  let revision: Revision | undefined;
  let succeeded = false;
  let records: StoredRecord[] | undefined;
  let count = 0;
  let parts: TxnOutcome[] | undefined;
  while (reader.within(end)) {
    const tag = reader.tag();
    switch (tag) {
      case Txn.header:
        revision = readHeader(reader, reader.enter(end));
        break;
      case Txn.succeeded:
        succeeded = reader.bool();
        break;
      case Txn.responses: {
        const opEnd = reader.enter(end);
        while (reader.within(opEnd)) {
          const op = reader.tag();
          if (op === Op.range) {
            const found = readRange(reader, reader.enter(opEnd));
            records = records === undefined ? found.records : [...records, ...found.records];
            count = found.count;
          } else if (op === Op.txn) {
            parts ??= [];
            parts.push(readTxn(reader, reader.enter(opEnd), depth + 1));
          } else reader.skip(op, opEnd);
        }
        break;
      }
      default:
        reader.skip(tag, end);
    }
  }
  return { revision, succeeded, records, count, parts };
}

function readRange(
  reader: ProtobufReader,
  end: number,
): { records: StoredRecord[]; revision: Revision | undefined; more: boolean; count: number } {
  const records: StoredRecord[] = [];
  let revision: Revision | undefined;
  let more = false;
  let count = 0;
  while (reader.within(end)) {
    const tag = reader.tag();
    switch (tag) {
      case Range.header:
        revision = readHeader(reader, reader.enter(end));
        break;
      case Range.kvs:
        records.push(readRecord(reader, reader.enter(end)));
        break;
      case Range.more:
        more = reader.bool();
        break;
      case Range.count:
        count = Number(reader.int64());
        break;
      default:
        reader.skip(tag, end);
    }
  }
  return { records, revision, more, count };
}

/** A header without a revision has that of an empty store. */
function readHeader(reader: ProtobufReader, end: number): Revision {
  let revision = 0n;
  while (reader.within(end)) {
    const tag = reader.tag();
    if (tag === Header.revision) revision = reader.int64();
    else reader.skip(tag, end);
  }
  return revision;
}

function readRecord(reader: ProtobufReader, end: number): StoredRecord {
  const { bytes } = reader;
  let key = '';
  let foreign = false;
  let created = 0n;
  let revision = 0n;
  let value = NOTHING;
  let session: string | undefined;
  while (reader.within(end)) {
    const tag = reader.tag();
    switch (tag) {
      case KeyValue.key: {
        const keyEnd = reader.enter(end);
        key = bytes.toString('utf8', reader.at, keyEnd);
        foreign = key.includes('\ufffd') && !Buffer.from(key).equals(bytes.subarray(reader.at, keyEnd));
        reader.at = keyEnd;
        break;
      }
      case KeyValue.created:
        created = reader.int64();
        break;
      case KeyValue.modified:
        revision = reader.int64();
        break;
      case KeyValue.value: {
        const valueEnd = reader.enter(end);
        // A copy: a slice would hold the whole message for as long as the value is kept.
        value = new Uint8Array(bytes.subarray(reader.at, valueEnd));
        reader.at = valueEnd;
        break;
      }
      case KeyValue.lease:
        session = reader.hex();
        break;
      default:
        reader.skip(tag, end);
    }
  }
  if (session === '0') session = undefined;
  const record = { key, value, session, created, revision };
  return foreign ? { ...record, foreign: 'its key is not UTF-8' } : record;
}

const NOTHING = new Uint8Array(0);
