import type { World } from './world.ts';

/** What a caller may be told in a world like this one: anything else is a fault of the library. */
export function isExpected(error: unknown, { mayOperate, mayRestore, mayGarble }: World): boolean {
  if (!(error instanceof Error)) return false;
  if (error.message === 'gave up') return true;
  const { code } = error as { code?: string };
  if (code === 'foreign-record') return mayOperate;
  if (code === 'store-reset') return mayRestore;
  if (mayGarble && error.message === 'garbled') return true;
  return ['timeout', 'lost', 'released', 'stopped', 'unavailable'].includes(code ?? '');
}
