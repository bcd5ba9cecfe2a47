export { type ObservedPool, type ObserveLeasesOptions, observeLeases } from './lease-metrics.ts';
export { type OpenTelemetryOptions, openTelemetry } from './open-telemetry.ts';
