import type {
  Attributes,
  BatchObservableResult,
  Counter,
  Histogram,
  Meter,
  Observable,
} from '@opentelemetry/api';
import type { SyncHealth } from '../index.ts';

interface Series {
  readonly service: Attributes;
  /** Of each manager that runs. */
  readonly healths: Set<() => SyncHealth>;
}

/** Seconds: from a hand-off within the process up to a wait of minutes. */
const WAITS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Names and units follow OpenTelemetry's semantic conventions for metrics: seconds, and annotations for counts. */
export class Instruments {
  readonly acquireDuration: Histogram;
  readonly holdDuration: Histogram;
  readonly renewDuration: Histogram;
  readonly losses: Counter;
  readonly longHolds: Counter;
  readonly troubles: Counter;
  readonly #meter: Meter;
  readonly #held: Observable;
  readonly #waiters: Observable;
  readonly #trustedFor: Observable;
  readonly #observables: Observable[];
  /**
   * Managers of one service in one process are one series: of two values the SDK would drop the first. A series stays when
   * its managers have stopped, and is zero then: an SDK that hears nothing repeats what it heard last.
   */
  readonly #series = new Map<string, Series>();

  constructor(meter: Meter) {
    this.#meter = meter;
    const duration = (name: string, description: string): Histogram =>
      meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: WAITS } });
    this.acquireDuration = duration(
      'holdfast.lock.acquire.duration',
      'How long calls waited for their lock.',
    );
    this.holdDuration = duration('holdfast.lock.hold.duration', 'How long locks were held.');
    this.renewDuration = duration('holdfast.session.renew.duration', 'How long the server took to renew.');
    this.longHolds = meter.createCounter('holdfast.lock.long_holds', {
      description: 'Scoped grants that were held for longer than option `longHold`.',
      unit: '{hold}',
    });
    this.losses = meter.createCounter('holdfast.lock.losses', {
      description: 'Locks lost while they were held.',
      unit: '{lock}',
    });
    this.troubles = meter.createCounter('holdfast.troubles', {
      description: 'Requests that failed and were tried again.',
      unit: '{failure}',
    });
    this.#held = meter.createObservableUpDownCounter('holdfast.lock.held', {
      description: 'Locks held at present.',
      unit: '{lock}',
    });
    this.#waiters = meter.createObservableUpDownCounter('holdfast.lock.waiters', {
      description: 'Calls that wait for their lock at present.',
      unit: '{waiter}',
    });
    this.#trustedFor = meter.createObservableGauge('holdfast.session.trusted_for', {
      description:
        'For how long the session is believed in without another renewal: the distance to the deadline.',
      unit: 's',
    });
    this.#observables = [this.#held, this.#waiters, this.#trustedFor];
  }

  /** Shows this manager whenever metrics are collected. Returns what ends it. */
  show(health: () => SyncHealth, service: Attributes): () => void {
    if (this.#series.size === 0) this.#meter.addBatchObservableCallback(this.#collect, this.#observables);
    const name = JSON.stringify(service);
    const series = this.#series.get(name) ?? { service, healths: new Set() };
    this.#series.set(name, series);
    series.healths.add(health);
    return () => series.healths.delete(health);
  }

  readonly #collect = (result: BatchObservableResult): void => {
    for (const { service, healths } of this.#series.values()) {
      const present = [...healths].map((health) => health());
      const held = present.reduce((sum, health) => sum + health.held, 0);
      const waiting = present.reduce((sum, health) => sum + health.waiting, 0);
      // Who has not needed a session yet is not at its deadline.
      const needing = present.filter(({ session }) => session !== 'idle');
      const trusted = present.length === 0 ? [0] : needing.map(({ trustedFor }) => trustedFor);
      result.observe(this.#held, held, service);
      result.observe(this.#waiters, waiting, service);
      if (trusted.length > 0) result.observe(this.#trustedFor, Math.min(...trusted) / 1_000, service);
    }
  };
}
