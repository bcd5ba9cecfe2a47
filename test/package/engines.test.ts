import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { minVersion, satisfies } from 'semver';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface Lockfile {
  readonly packages: Record<string, { readonly version?: string; readonly engines?: { node?: string } }>;
}

const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lockfile;
const oldest = minVersion(lock.packages['']?.engines?.node ?? '');

test('E10: all that `npm ci` installs runs on the oldest Node that we support, so that it warns of no engine', () => {
  expect(oldest?.version).toBe('20.19.0');
  const asking = Object.entries(lock.packages).filter(([, { engines }]) => engines?.node !== undefined);
  expect(asking.length).toBeGreaterThan(100);
  const refused = asking.filter(([, { engines }]) => !satisfies(oldest ?? '', engines?.node ?? '*'));
  expect(refused.map(([path, { version, engines }]) => `${path} ${version} ${engines?.node}`)).toEqual([]);
});
