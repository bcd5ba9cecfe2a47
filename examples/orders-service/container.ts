import type { Backend } from 'holdfast';
import { consul } from 'holdfast/consul';
import { SYNC_LOGGER, syncModule } from 'holdfast/di';
import { etcd } from 'holdfast/etcd';
import { openTelemetry } from 'holdfast/opentelemetry';
import { postgres } from 'holdfast/postgres';
import { Container } from 'inversify';
import type { Logger } from 'pino';
import { Api } from './api.ts';
import { LOG, SETTINGS } from './identifiers.ts';
import { Orders } from './orders.ts';
import type { Settings } from './settings.ts';
import { Settlement } from './settlement.ts';

export function buildContainer(settings: Settings, log: Logger): Container {
  const container = new Container({ defaultScope: 'Singleton' });
  container.bind(SETTINGS).toConstantValue(settings);
  container.bind(LOG).toConstantValue(log);
  container.bind(SYNC_LOGGER).toConstantValue(log);
  container.load(
    syncModule((context) => {
      const { name, ttl, replica } = context.get(SETTINGS);
      return {
        name,
        backend: backendOf(context.get(SETTINGS)),
        session: { ttl },
        metadata: { replica, pid: process.pid },
        // Shows up in whatever SDK the process has registered; without one it does nothing.
        telemetry: openTelemetry({ group: (key) => key.split('/')[0] }),
        // The settlement stands for leadership when the replica can be reached.
        claimLeadership: false,
      };
    }),
  );
  for (const service of [Orders, Settlement, Api]) container.bind<unknown>(service).toSelf();
  return container;
}

function backendOf({ backend, address }: Settings): Backend {
  switch (backend) {
    case 'etcd':
      return etcd({ hosts: address });
    case 'consul':
      return consul({ addresses: [address] });
    case 'postgres':
      return postgres({ connectionString: address });
  }
}
