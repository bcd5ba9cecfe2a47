import type { Seen } from '../testing/replay.ts';
import type { StoreName } from './stores.ts';

/** Where the value is that the lock protects. */
export const variants = [
  /** Beside the lock, written by a commit under `isOwner`. */
  'commit',
  /** In another store, which refuses smaller tokens than it has seen. */
  'tokens',
  /** In another store, which takes whatever comes. */
  'unchecked',
] as const;

export type Variant = (typeof variants)[number];

export interface ClientSettings {
  readonly client: string;
  readonly store: StoreName;
  readonly address: string;
  readonly stem: string;
  readonly ttl: number;
  readonly outside: { readonly tokens: string; readonly unchecked: string };
}

/** A line that a client tells. It is told the name of the variant to go on, and `stop`. */
export type Message = { readonly variant: Variant } & (
  | { readonly tells: 'seen'; readonly seen: Seen }
  /** It has read, has looked that it still holds, and goes on to write when it is told. */
  | { readonly tells: 'between'; readonly token: string }
  | { readonly tells: 'outcome'; readonly token: string; readonly outcome: Outcome }
);

export type Outcome = 'accepted' | 'refused' | 'unknown';
