import { chmodSync, chownSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { librariesOf } from './locate.ts';
import type { Command } from './process.ts';

const NOBODY = 65_534;

/** For programs that refuse to run as root: then they run as nobody. */
export function asNobody(file: string, args: readonly string[]): Command {
  const env = { ...librariesOf(file), LC_ALL: 'C' };
  if (!isRoot()) return { file, args, env };
  const who = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
  return { file: 'setpriv', args: [...who, file, ...args], env };
}

/** Whoever it runs as has to come to its folder, and to a file there. */
export function giveToNobody(path: string): void {
  if (!isRoot()) return;
  const folder = dirname(path);
  // What is nobody's already may be a folder of data, which Postgres does not use where others can come to it.
  if (statSync(folder).uid !== NOBODY) chmodSync(folder, 0o711);
  chownSync(path, NOBODY, NOBODY);
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
