import type { ConsulServer } from '../test/servers/consul.ts';
import type { EtcdServer } from '../test/servers/etcd.ts';
import type { Figure } from './paired.ts';

export interface Servers {
  readonly etcd: EtcdServer;
  readonly consul: ConsulServer;
  /** Absent where there is none to be had. */
  readonly redisPort: number | undefined;
}

export interface Settings {
  readonly blocks: number;
  onProgress(what: string): void;
}

/** One line of the table. */
export interface Line {
  readonly what: string;
  /** What was measured, ready to be read. */
  readonly figure: string;
  /** Relative to what, and how much, with its interval. */
  readonly ratio?: string;
  readonly goal?: string;
  readonly met?: boolean;
}

export interface RowReport {
  readonly lines: readonly Line[];
  /** What the lines were made of, for the JSON file. */
  readonly raw: unknown;
}

export interface Row {
  readonly name: string;
  readonly what: string;
  run(servers: Servers, settings: Settings): Promise<RowReport>;
}

export function ms(value: number): string {
  return value < 10 ? `${value.toFixed(3)} ms` : `${value.toFixed(1)} ms`;
}

export function perSecond({ ms: cost }: Figure): string {
  const rate = 1_000 / cost;
  return `${rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en')}/s`;
}

export function interval({ ratio: { median, low, high } }: Pick<Figure, 'ratio'>): string {
  return `${median.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

/** How many times as fast as the first variant. */
export function speedup({ ratio: { median, low, high } }: Figure): string {
  return `${(1 / median).toFixed(1)} times (${(1 / high).toFixed(1)} to ${(1 / low).toFixed(1)})`;
}
