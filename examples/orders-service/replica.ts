// One replica of the service, as a process.
import 'reflect-metadata';
import { installShutdown, SyncManager } from 'holdfast';
import pino from 'pino';
import { Api } from './api.ts';
import { buildContainer } from './container.ts';
import { settingsOf } from './settings.ts';
import { Settlement } from './settlement.ts';

const settings = settingsOf(process.argv);
const log = pino({ base: { replica: settings.replica } }, pino.destination({ sync: true }));
const container = buildContainer(settings, log);
const sync = container.get(SyncManager);
const api = container.get(Api);
const settlement = container.get(Settlement);
const stopping = new AbortController();

installShutdown(sync, {
  // Somebody else leads while the last requests are answered here.
  before: async () => {
    log.info('shuts down');
    stopping.abort();
    await Promise.all([settlement.stop(), api.close()]);
  },
});
const url = await api.listen().catch((error: Error) => {
  if (!stopping.signal.aborted) log.fatal(`cannot listen: ${error.message}; choose another --port`);
});
if (url !== undefined && !stopping.signal.aborted) {
  log.info({ url }, 'listens');
  settlement.start();
} else {
  await sync.stop();
  process.exitCode = 1;
}
