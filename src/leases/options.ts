import { checkBounds, checkDuration, checkNames, inside, invalid, type Names } from '../contract/options.ts';
import { type CallOptions, isSyncError, type JsonValue, type Logger, type SyncManager } from '../index.ts';
import type { AttributesSchema } from './attributes.ts';
import type { Lease } from './lease.ts';
import type { Item } from './snapshot.ts';

/**
 * Which of the free items is tried first: `random`; `least-recent`, the one that was held the longest ago, as far as this process
 * has seen; or a function that puts them in order.
 */
export type Selection<A> = 'random' | 'least-recent' | ((items: readonly Item<A>[]) => readonly Item<A>[]);

export interface LeasePoolOptions<A> {
  /** The name of the pool, below `leases/` at the store. One or more key segments. */
  readonly prefix: string;
  /** A session with a TTL of its own, in milliseconds: a shorter one is taken over sooner. Default: the manager's session. */
  readonly session?: { readonly ttl: number };
  /** How many items this process holds at a time at most. Default: no bound. */
  readonly maxItems?: number;
  /** Default `random`. */
  readonly select?: Selection<A>;
  /** What attributes must be like. Items of another kind are told as bad, and left alone. It must answer at once. */
  readonly attributes?: AttributesSchema<A>;
  /** How many items the pool may have. Default 10 000, on Consul 2 000: those stores read a pool as a whole. */
  readonly limit?: number;
  /** Default: the manager's. */
  readonly logger?: Logger;
}

export interface LeaseRequest {
  /** Who holds it, for operators: it proves nothing, and never lets two processes hold one item. */
  readonly lesseeId: string;
}

/** For one lease: for whom it is, and how long the call may take. */
export interface WaitRequest extends LeaseRequest, CallOptions {}

export interface WorkRequest extends LeaseRequest {
  /** How many items are worked on at a time. Default 1. */
  readonly concurrency?: number;
  /** Ends it, as `stop()` does. */
  readonly signal?: AbortSignal;
  /** Milliseconds for which an item is left alone after its handler failed: at first, and at most. Default `[1_000, 60_000]`. */
  readonly backoff?: readonly [number, number];
  /** Milliseconds for which a handler may go on once it was asked to finish. Default 10 000. */
  readonly yieldTimeout?: number;
}

export interface BalanceOptions extends Partial<LeaseRequest> {
  /** Its share, in proportion to those of the others. Default 1. */
  readonly weight?: number;
  /** Default: the pool's. */
  readonly maxItems?: number;
  /** As for `work`. */
  readonly signal?: AbortSignal;
  readonly backoff?: readonly [number, number];
  readonly yieldTimeout?: number;
}

/** Works on an item while it is leased. Returning gives the item back. */
export type LeaseHandler<A, P> = (lease: Lease<A, P>) => unknown;

const POOL: Names<LeasePoolOptions<JsonValue>> = {
  prefix: true,
  session: true,
  maxItems: true,
  select: true,
  attributes: true,
  limit: true,
  logger: true,
};
const SESSION: Names<{ ttl: number }> = { ttl: true };

const LIMIT = 10_000;
const LIMIT_ON_CONSUL = 2_000;

export function checkPoolOptions<A>(sync: SyncManager, options: LeasePoolOptions<A>) {
  checkNames(options, POOL, { elsewhere: inside('session', SESSION) });
  const { prefix, session, maxItems = Number.POSITIVE_INFINITY, select = 'random', attributes } = options;
  checkPrefix(sync, prefix);
  if (session !== undefined) checkNames(session, SESSION, { where: 'session' });
  checkCount('maxItems', maxItems);
  if (typeof select !== 'function' && select !== 'random' && select !== 'least-recent') {
    throw invalid('select', 'must be "random", "least-recent" or a function');
  }
  if (attributes !== undefined && typeof attributes?.['~standard']?.validate !== 'function') {
    throw invalid('attributes', 'must be a schema with the Standard Schema interface');
  }
  const { limit = sync.traits.name === 'consul' ? LIMIT_ON_CONSUL : LIMIT, logger = sync.logger } = options;
  checkCount('limit', limit);
  return { prefix, session, maxItems, select, attributes, limit, logger };
}

/** The name has to be one that every store can hold, with what comes below it, and no place of locks. */
function checkPrefix(sync: SyncManager, prefix: unknown): asserts prefix is string {
  if (typeof prefix !== 'string' || prefix === '') throw invalid('prefix', 'must be the name of the pool');
  if (/(^|\/)\.lock(\/|$)/.test(prefix))
    throw invalid('prefix', 'must not have the segment ".lock", under which locks are kept');
  try {
    // Nobody subscribes, so nothing is asked: what cannot be watched is refused here.
    sync.watch({ prefix: `leases/${prefix}/` });
  } catch (error) {
    throw isSyncError(error, 'invalid-key')
      ? invalid('prefix', `cannot be the name of a pool: ${error.message}`)
      : error;
  }
}

export type CheckedPoolOptions<A> = ReturnType<typeof checkPoolOptions<A>>;

const REQUEST: Names<WaitRequest> = { lesseeId: true, signal: true, timeout: true };
const WORK: Names<WorkRequest> = {
  lesseeId: true,
  concurrency: true,
  signal: true,
  backoff: true,
  yieldTimeout: true,
};
const BALANCE: Names<BalanceOptions> = {
  lesseeId: true,
  weight: true,
  maxItems: true,
  signal: true,
  backoff: true,
  yieldTimeout: true,
};

/** How handlers are run. */
export interface HandlingOptions {
  readonly backoff: readonly [number, number];
  readonly yieldTimeout: number;
}

export function checkWork(request: WorkRequest) {
  checkNames(request, WORK);
  checkLessee(request.lesseeId);
  const { concurrency = 1 } = request;
  checkCount('concurrency', concurrency);
  return { lesseeId: request.lesseeId, concurrency, ...checkHandling(request) };
}

export function checkBalance(options: BalanceOptions, maxOfPool: number, member: string) {
  checkNames(options, BALANCE);
  const { lesseeId = member, weight = 1, maxItems = maxOfPool } = options;
  checkLessee(lesseeId);
  if (!(Number.isFinite(weight) && weight > 0))
    throw invalid('weight', `is ${weight}; it must be a number above 0`);
  checkCount('maxItems', maxItems);
  return { lesseeId, weight, maxItems: Math.min(maxItems, maxOfPool), ...checkHandling(options) };
}

export function checkRequest(request: WaitRequest): void {
  checkNames(request, REQUEST);
  checkLessee(request.lesseeId);
  checkBounds(request);
}

function checkLessee(lesseeId: unknown): void {
  if (typeof lesseeId !== 'string' || lesseeId === '') {
    throw invalid('lesseeId', 'must be a text that says who holds the item, such as "host:pid"');
  }
}

function checkHandling(options: Pick<WorkRequest, 'signal' | 'backoff' | 'yieldTimeout'>): HandlingOptions {
  checkBounds({ signal: options.signal });
  const { backoff = [1_000, 60_000], yieldTimeout = 10_000 } = options;
  checkDuration('yieldTimeout', yieldTimeout);
  if (!Array.isArray(backoff) || backoff.length !== 2) throw invalid('backoff', 'must be [first, most]');
  checkDuration('backoff[0]', backoff[0]);
  checkDuration('backoff[1]', backoff[1]);
  return { backoff: [backoff[0] as number, backoff[1] as number], yieldTimeout };
}

function checkCount(option: string, value: number): void {
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && value > 0)) return;
  throw invalid(option, `is ${String(value)}; it must be a whole number above 0`);
}
