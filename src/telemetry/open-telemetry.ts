import { type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api';
import type { Names } from '../contract/options.ts';
import { checkNames, invalid } from '../contract/options.ts';
import type { Telemetry } from '../index.ts';
import { Instruments } from './instruments.ts';
import { Recorder } from './recorder.ts';

export interface OpenTelemetryOptions {
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider;
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider;
  /**
   * A name for the many keys that are alike, such as `orders` for `orders/4711`: the metric attribute
   * `holdfast.lock.group`. There must be few of them. Default: none. The key itself is only in spans.
   */
  readonly group?: (key: string) => string | undefined;
}

const OPTIONS: Names<OpenTelemetryOptions> = { meterProvider: true, tracerProvider: true, group: true };

const SCOPE = 'holdfast';

/**
 * For a manager's option `telemetry`: metrics and spans, by whatever SDK the application has set up. Without one, the API's
 * own instruments do nothing; set it up before the manager is made.
 *
 * A span `lock acquire` is a child of the span that is active where the lock is asked for, and so is the span `lock hold`
 * of a scoped grant, in which the work of `withLock` runs. A standing claim has no such span: it may be held for
 * months, long after its trace has ended.
 *
 * Throws `invalid-option`.
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Telemetry {
  checkNames(options, OPTIONS);
  const { group = () => undefined } = options;
  if (typeof group !== 'function') throw invalid('group', 'must be a function');
  return {
    observe(manager) {
      const instruments = instrumentsOf(options.meterProvider ?? metrics.getMeterProvider());
      const tracer = (options.tracerProvider ?? trace).getTracer(SCOPE);
      return new Recorder(manager, instruments, tracer, group);
    },
  };
}

const known = new WeakMap<MeterProvider, Instruments>();

/** One set for each provider, however many managers: what is observed at present must be added up. */
function instrumentsOf(provider: MeterProvider): Instruments {
  const instruments = known.get(provider) ?? new Instruments(provider.getMeter(SCOPE));
  known.set(provider, instruments);
  return instruments;
}
