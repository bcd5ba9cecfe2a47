import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packTarball } from '../package/tarball.ts';
import { temporaryFolder } from '../servers/child.ts';
import { startConsul } from '../servers/consul.ts';
import { startEtcd } from '../servers/etcd.ts';
import { postgresUrl, startPostgres } from '../servers/postgres.ts';
import { fetchNode } from './nodes.ts';
import { makeProject, type ProjectName } from './projects.ts';
import { type Kit, nameOf, type Row } from './row.ts';
import { rows } from './rows.ts';
import { differences } from './table.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** For everything. Two quiet cores need a third of it. */
const LIMIT = 480_000;
/** Most of a row is a process of its own. */
const WORKERS = 3;

/** Promises by their names: each is made once, whoever asks first. */
function once<Name extends string>(make: (name: Name) => Promise<string>): (name: Name) => Promise<string> {
  const made = new Map<Name, Promise<string>>();
  return (name) => {
    const known = made.get(name);
    if (known) return known;
    const making = make(name);
    made.set(name, making);
    return making;
  };
}

async function checkAll(chosen: readonly Row[]): Promise<string[]> {
  // It goes with this process, as an install does that another one's failure left behind.
  const place = temporaryFolder('compatibility');
  const tarball = await packTarball(join(place, 'source'));
  const {
    HOLDFAST_ETCD: etcdAddress,
    HOLDFAST_CONSUL: consulAddress,
    HOLDFAST_POSTGRES: postgresAddress,
  } = process.env;
  await using etcd = etcdAddress ? undefined : await startEtcd();
  await using consul = consulAddress ? undefined : await startConsul();
  await using postgres = postgresAddress ? undefined : await startPostgres({ schema: true });
  return await checkEach(chosen, {
    addresses: {
      etcd: etcd?.address ?? etcdAddress ?? '',
      consul: consul?.address ?? consulAddress ?? '',
      postgres: postgresUrl(postgres?.address ?? postgresAddress ?? ''),
    },
    node: once((version) => fetchNode(version, join(root, '.cache', 'compatibility'))),
    project: once<ProjectName>((name) => makeProject(name, place, tarball)),
  });
}

/** Resolves with the names of those that failed. */
async function checkEach(chosen: readonly Row[], kit: Kit): Promise<string[]> {
  const failed: string[] = [];
  const left = chosen.values();
  const work = async () => {
    for (const row of left) {
      const begun = performance.now();
      const reason = await row.check(kit).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      pending.delete(row);
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      console.log(`${reason === undefined ? 'ok  ' : 'FAIL'} ${nameOf(row)}: ${row.says} (${seconds} s)`);
      if (reason === undefined) continue;
      failed.push(nameOf(row));
      console.log(`    ${reason}`);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return failed;
}

const [wanted = ''] = process.argv.slice(2);
const chosen = rows.filter((row) => nameOf(row).startsWith(wanted));
const pending = new Set(chosen);
if (chosen.length === 0) {
  console.error(`No row begins with "${wanted}". There are:\n${rows.map(nameOf).join('\n')}`);
  process.exit(2);
}
// No children are left behind: they never outlive this process.
setTimeout(() => {
  console.error(`Not done within ${LIMIT / 1_000} s:\n${[...pending].map(nameOf).join('\n')}`);
  process.exit(1);
}, LIMIT).unref();

const wrong = differences(await readFile(join(root, 'docs', 'compatibility.md'), 'utf8'), rows);
for (const difference of wrong) console.error(`docs/compatibility.md: ${difference}`);
const failed = await checkAll(chosen);
console.log(
  `${chosen.length - failed.length} rows are as docs/compatibility.md says, ${failed.length} are not.`,
);
for (const name of failed) console.error(`not as it says: ${name}`);
process.exit(failed.length + wrong.length === 0 ? 0 : 1);
