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
  /** In a table of the user's that constrains nothing, written in a transaction of his with the proof in it. */
  'transaction',
  /** The same without the proof. */
  'unproved',
] as const;

export type Variant = (typeof variants)[number];

const EVERYWHERE: readonly Variant[] = ['commit', 'tokens', 'unchecked'];

export function variantsOn(store: StoreName): readonly Variant[] {
  return store === 'postgres' ? variants : EVERYWHERE;
}

/** Nothing of these may be lost, and of the others something has to be. */
export function isGuarded(variant: Variant): boolean {
  return variant !== 'unchecked' && variant !== 'unproved';
}

/** What only the lock's own store accepts is seen in the order of its tokens. */
export function isInOrder(variant: Variant): boolean {
  return variant === 'commit' || variant === 'transaction';
}

export interface ClientSettings {
  readonly client: string;
  readonly store: StoreName;
  readonly address: string;
  readonly stem: string;
  readonly ttl: number;
  readonly variants: readonly Variant[];
  readonly outside: { readonly tokens: string; readonly unchecked: string };
  /** Its name, where the store has one. */
  readonly table: string;
}

/** A line that a client tells. It is told the name of the variant to go on, and `stop`. */
export type Message = { readonly variant: Variant } & (
  | { readonly tells: 'seen'; readonly seen: Seen }
  /** It has read, has looked that it still holds, and goes on to write this when it is told. */
  | { readonly tells: 'between'; readonly token: string; readonly value: string; readonly at: number }
  | { readonly tells: 'outcome'; readonly token: string; readonly outcome: Outcome }
);

export type Outcome = 'accepted' | 'refused' | 'unknown';
