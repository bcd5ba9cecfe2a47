import { TextDecoder } from 'node:util';
import type { StoredRecord } from '../index.ts';

/** Of what is written here. A record with a larger one is by a newer version of this library: told, left alone, never rewritten. */
const VERSION = 1;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** A record of ours: JSON with a version, and with what else stood there. */
export type Fields = Readonly<Record<string, unknown>>;

export function encode(fields: Fields): string {
  return JSON.stringify({ ...fields, v: VERSION });
}

/** What a record holds; or what is wrong with it, in words. */
export function decode({ value }: StoredRecord): Fields | string {
  let fields: unknown;
  try {
    fields = JSON.parse(decoder.decode(value));
  } catch {
    return 'is no JSON';
  }
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return 'is no JSON object';
  const { v } = fields as Fields;
  if (typeof v !== 'number') return 'has no version `v`';
  if (v > VERSION) return `is of version ${v}, and this one knows ${VERSION}: left to newer ones`;
  return fields as Fields;
}

/** Where a pool keeps its records, below the manager's prefix. */
export class Layout {
  readonly root: string;

  constructor(name: string) {
    this.root = `leases/${name}/`;
  }

  item(id: string): string {
    return `${this.root}items/${id}`;
  }

  position(id: string): string {
    return `${this.root}at/${id}`;
  }

  held(id: string): string {
    return `${this.root}held/${id}`;
  }

  worker(member: string): string {
    return `${this.root}workers/${member}`;
  }

  get items(): string {
    return this.item('');
  }

  get holders(): string {
    return this.held('');
  }

  get workers(): string {
    return this.worker('');
  }
}
