import type { LeasePool } from 'holdfast/leases';

/** What is leased. */
export interface Shard {
  readonly stream: number;
}

/** How far the work on it has come. */
export interface Position {
  readonly at: number;
}

export type ShardPool = LeasePool<Shard, Position>;
export type ShardLease = Awaited<ReturnType<ShardPool['obtain']>>;

/** The one pool of a run. */
export const POOL = 'shards';

const ROOT = `leases/${POOL}/`;

/** Keys of the pool at the store. */
export const keys = {
  root: ROOT,
  item: (id: string): string => `${ROOT}items/${id}`,
  position: (id: string): string => `${ROOT}at/${id}`,
  held: (id: string): string => `${ROOT}held/${id}`,
  worker: (member: string): string => `${ROOT}workers/${member}`,
};

/** Items that are there from the beginning to the end. */
export const LASTING = ['a', 'b', 'c'] as const;
/** Items that come and go. */
export const PASSING = ['d', 'e', 'f/g', 'h'] as const;

export const schema = {
  '~standard': {
    validate: (value: unknown) =>
      typeof (value as Partial<Shard> | undefined)?.stream === 'number'
        ? { value: value as Shard }
        : { issues: [{ message: 'no stream' }] },
  },
};

/** Records that are none of the pool's, by their keys. */
export const BAD: Readonly<Record<string, string>> = {
  [keys.item('!bad')]: '{not json',
  [keys.item('!newer')]: '{"v":99,"attributes":{"stream":1}}',
  [keys.item('!other')]: '{"v":1,"attributes":{"topic":"x"}}',
  [keys.item('!array')]: '[]',
  [keys.position('!bad')]: 'x',
  [keys.held('!bad')]: '{"v":1,"lessee":7}',
  [keys.worker('!bad')]: '{"v":1,"weight":-1}',
  // As of a worker, but nobody's session owns it.
  [keys.worker('!nobody')]: '{"v":1,"weight":1}',
};

export function isBad(key: string): boolean {
  return key in BAD;
}
