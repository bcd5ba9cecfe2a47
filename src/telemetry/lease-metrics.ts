import { type Attributes, type BatchObservableResult, type MeterProvider, metrics } from '@opentelemetry/api';
import type { Observable } from 'rxjs';
import { checkNames, type Names } from '../contract/options.ts';
import type { PoolEvent, PoolStatus } from '../leases/index.ts';

/** What a `LeasePool` shows of itself. */
export interface ObservedPool {
  readonly name: string;
  readonly service: string;
  readonly status: PoolStatus;
  readonly events$: Observable<PoolEvent>;
}

export interface ObserveLeasesOptions {
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider;
}

const OPTIONS: Names<ObserveLeasesOptions> = { meterProvider: true };

const SCOPE = 'holdfast';
/** Seconds: from a hand-over at once up to a crash that was noticed late. */
const GAPS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Metrics of a pool of leases, from now on until it stops: what is held, free and waited for, for how long the oldest free item is
 * free, how long items were free before they were taken, what was lost, and why. Labels are the service and the pool; never an item.
 *
 * Once for each pool of a process.
 */
export function observeLeases(pool: ObservedPool, options: ObserveLeasesOptions = {}): void {
  checkNames(options, OPTIONS);
  const meter = (options.meterProvider ?? metrics.getMeterProvider()).getMeter(SCOPE);
  const labels: Attributes = { 'holdfast.service': pool.service, 'holdfast.pool': pool.name };
  const count = (name: string, description: string, unit: string) =>
    meter.createObservableUpDownCounter(`holdfast.lease.${name}`, { description, unit });
  const held = count('held', 'Items that this process holds at present.', '{item}');
  const free = count('free', 'Items that nobody holds at present, as seen from here.', '{item}');
  const waiters = count('waiters', 'Calls that wait for an item at present.', '{waiter}');
  const oldest = meter.createObservableGauge('holdfast.lease.oldest_free', {
    description: 'For how long the oldest free item was seen free.',
    unit: 's',
  });
  const gap = meter.createHistogram('holdfast.lease.free.duration', {
    description: 'How long items were seen free before this process took them: the hand-over.',
    unit: 's',
    advice: { explicitBucketBoundaries: GAPS },
  });
  const obtained = meter.createCounter('holdfast.lease.obtained', {
    description: 'Items that this process took.',
    unit: '{item}',
  });
  const losses = meter.createCounter('holdfast.lease.losses', {
    description: 'Items lost while they were held, by reason.',
    unit: '{item}',
  });
  const failures = meter.createCounter('holdfast.lease.handler_failures', {
    description: 'Handlers that failed.',
    unit: '{failure}',
  });
  const observables = [held, free, waiters, oldest];
  const collect = (result: BatchObservableResult): void => {
    const { status } = pool;
    result.observe(held, status.held, labels);
    result.observe(free, status.free, labels);
    result.observe(waiters, status.waiting, labels);
    result.observe(oldest, status.oldestFree / 1_000, labels);
  };
  meter.addBatchObservableCallback(collect, observables);
  pool.events$.subscribe({
    next: (event) => {
      if (event.type === 'obtained') {
        obtained.add(1, labels);
        if (event.freeFor !== undefined) gap.record(event.freeFor / 1_000, labels);
      } else if (event.type === 'lost') losses.add(1, { ...labels, 'holdfast.reason': event.reason });
      else if (event.type === 'handler-failed') failures.add(1, labels);
    },
    complete: () => meter.removeBatchObservableCallback(collect, observables),
  });
}
