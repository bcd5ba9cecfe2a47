export type { AttributesSchema } from './attributes.ts';
export type { PoolEvent } from './events.ts';
export type { Fleet } from './fleet.ts';
export type { ListedItem, NewItem } from './items.ts';
export type { Lease, LeaseEnd, LeaseLoss } from './lease.ts';
export { LeasePool } from './lease-pool.ts';
export type {
  BalanceOptions,
  LeaseHandler,
  LeasePoolOptions,
  LeaseRequest,
  Selection,
  WaitRequest,
  WorkRequest,
} from './options.ts';
export type { Item } from './snapshot.ts';
export type { PoolStatus } from './status.ts';
