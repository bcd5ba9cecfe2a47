import { Command } from 'commander';
import { startConsul } from '../../test/servers/consul.ts';
import { startEtcd } from '../../test/servers/etcd.ts';
import { startPostgres } from '../../test/servers/postgres.ts';
import { type LogLine, Replica } from './replicas.ts';
import { type Settings, storeOptions } from './settings.ts';

const NAMES = ['a', 'b', 'c'];

const program = new Command('npm run orders --').description(
  'Three replicas of a small HTTP service; one of them leads and runs the scheduled job. Ends with Ctrl-C.',
);
for (const option of storeOptions) program.addOption(option);
const options = program.parse().opts<Omit<Settings, 'replica' | 'port'>>();

try {
  const server = options.address === undefined ? await start(options.backend) : undefined;
  const address = options.address ?? server?.address ?? '';
  console.log(`${options.backend} at ${address}`);
  const replicas = NAMES.map((replica) => new Replica({ ...options, address, replica, port: 0 }, print));
  const stop = (): void => {
    for (const replica of replicas) replica.kill('SIGTERM');
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const urls = await Promise.all(replicas.map(({ url }) => url));
  console.log(
    [
      'Try:',
      ...urls.map((url) => `  curl ${url}/leader`),
      `  curl ${urls[0]}/health`,
      `  curl ${urls[0]}/orders/7/payments -H 'content-type: application/json' -d '{"payment":"p1","amount":10}'`,
      '  kill -9 <pid of the leader>',
    ].join('\n'),
  );
  await Promise.all(replicas.map(({ exited }) => exited));
  await server?.[Symbol.asyncDispose]();
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}

async function start(backend: Settings['backend']): Promise<AsyncDisposable & { readonly address: string }> {
  if (backend === 'etcd') return await startEtcd();
  if (backend === 'consul') return await startConsul();
  const server = await startPostgres({ schema: true });
  return { address: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

function print({ time, replica, msg, level: _, ...more }: LogLine): void {
  const details = Object.keys(more).length === 0 ? '' : ` ${JSON.stringify(more)}`;
  console.log(`${new Date(time).toISOString().slice(11, 23)} ${replica} ${msg}${details}`);
}
