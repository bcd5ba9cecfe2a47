import { chmodSync, chownSync } from 'node:fs';
import { librariesOf } from './locate.ts';
import type { Command } from './process.ts';

const NOBODY = 65_534;

/**
 * For programs that refuse to run as root: then they run as nobody.
 *
 * @param own what the program has in its environment, and nothing that comes before it: what is preloaded is to run as nobody too.
 */
export function asNobody(
  file: string,
  args: readonly string[],
  own: Readonly<Record<string, string>> = {},
): Command {
  const env = { ...librariesOf(file), LC_ALL: 'C' };
  if (!isRoot()) return { file, args, env: { ...env, ...own } };
  const who = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  const pairs = Object.entries(own).map(([name, value]) => `${name}=${value}`);
  return { file: 'setpriv', args: [...who, 'env', ...pairs, file, ...args], env };
}

/** Whoever it runs as is to own it. */
export function giveToNobody(path: string): void {
  if (isRoot()) chownSync(path, NOBODY, NOBODY);
}

/** Whoever it runs as has to come to what is in there, which temporary folders do not allow. */
export function letNobodyThrough(folder: string): void {
  if (isRoot()) chmodSync(folder, 0o711);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
