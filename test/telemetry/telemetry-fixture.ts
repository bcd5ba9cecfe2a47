import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { type DataPoint, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';

class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** The real SDK, which keeps what it gets; nothing of it is global but the contexts. */
export function openTelemetrySdk() {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const reader = new Reader();
  const meterProvider = new MeterProvider({ readers: [reader] });
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = tracerProvider.getTracer('application');

  /** The data points of a metric. */
  const points = async (name: string): Promise<DataPoint<unknown>[]> => {
    const { resourceMetrics, errors } = await reader.collect();
    if (errors.length > 0) throw errors[0];
    const found = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return found.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
  };
  const units = async (): Promise<Record<string, string>> => {
    const { resourceMetrics } = await reader.collect();
    const found = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return Object.fromEntries(found.map(({ descriptor: { name, unit } }) => [name, unit]));
  };
  const spans = (name?: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => name === undefined || span.name === name);
  /** Runs this within a span of the application. */
  const request = <T>(work: () => Promise<T>): Promise<T> =>
    tracer.startActiveSpan('request', async (span) => {
      try {
        return await work();
      } finally {
        span.end();
      }
    });
  const activeSpanId = (): string | undefined => trace.getActiveSpan()?.spanContext().spanId;
  const close = async (): Promise<void> => {
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
    context.disable();
  };
  return { meterProvider, tracerProvider, points, units, spans, request, activeSpanId, close };
}
