import type { LeaseEnd } from './lease.ts';

/** What happens to a pool, for logs and metrics. */
export type PoolEvent =
  /** `freeFor`: milliseconds for which it was seen free before. */
  | { readonly type: 'obtained'; readonly id: string; readonly token: bigint; readonly freeFor?: number }
  | { readonly type: 'released'; readonly id: string; readonly token: bigint }
  | { readonly type: 'lost'; readonly id: string; readonly token: bigint; readonly reason: LeaseEnd }
  /** Its handler was asked to finish. */
  | { readonly type: 'yield-asked'; readonly id: string }
  | { readonly type: 'handler-failed'; readonly id: string; readonly error: unknown }
  /** A record below the pool's prefix that is none of ours, or of a newer version. It is left alone. */
  | { readonly type: 'bad-record'; readonly key: string; readonly problem: string }
  /** Something could not be done now, and is tried again. */
  | { readonly type: 'trouble'; readonly error: unknown; readonly id?: string };

type Level = 'debug' | 'info' | 'warn' | 'error';

/** As a line of a log. Never a value of a record. */
export function lineOf(event: PoolEvent): [Level, string] {
  switch (event.type) {
    case 'obtained':
      return ['debug', `holds the item ${quote(event.id)}, token ${event.token}`];
    case 'released':
      return ['debug', `gave back the item ${quote(event.id)}, token ${event.token}`];
    case 'lost':
      return ['warn', `lost the item ${quote(event.id)}, token ${event.token}: ${event.reason}`];
    case 'yield-asked':
      return ['debug', `asked the handler of the item ${quote(event.id)} to finish`];
    case 'handler-failed':
      return ['error', `the handler of the item ${quote(event.id)} failed: ${String(event.error)}`];
    case 'bad-record':
      return ['warn', `left alone the record ${quote(event.key)}: it ${event.problem}`];
    case 'trouble':
      return [
        'warn',
        `${event.id === undefined ? '' : `item ${quote(event.id)}: `}trying again after ${String(event.error)}`,
      ];
  }
}

function quote(text: string): string {
  return JSON.stringify(text);
}
