/** How a pool is, as seen from here. */
export interface PoolStatus {
  readonly items: number;
  /** By this process. */
  readonly held: number;
  readonly free: number;
  /** Processes that take items or wait for one. */
  readonly workers: number;
  readonly waiting: number;
  /** Milliseconds for which the oldest free item was seen free. */
  readonly oldestFree: number;
}
