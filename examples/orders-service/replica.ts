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

installShutdown(sync, {
  // Somebody else leads while the last requests are answered here.
  before: async () => {
    log.info('shuts down');
    await Promise.all([sync.leadership.stepDown(), api.close()]);
  },
});
try {
  log.info({ url: await api.listen() }, 'listens');
  container.get(Settlement).start();
} catch (error) {
  const { message } = error as Error;
  log.fatal(`cannot listen: ${message}; choose another --port`);
  await sync.stop();
  process.exitCode = 1;
}
