import { Pool } from 'pg';
import type { TestProject } from 'vitest/node';
import { install } from '../../src/backends/postgres/index.ts';
import { type ConsulServer, startConsul } from './consul.ts';
import { type EtcdServer, startEtcd } from './etcd.ts';
import { httpRequest } from './http.ts';
import { type PostgresServer, postgresUrl, startPostgres } from './postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of an etcd that all tests share, as `host:port`. */
    etcdAddress: string;
    /** Of a Consul that all tests share, as `host:port`. */
    consulAddress: string;
    /** The shortest session TTL that this Consul grants, such as "1s". */
    consulSessionTtlMin: string;
    /** Of a Postgres that all tests share, with the schema `holdfast`, as `host:port`. */
    postgresAddress: string;
  }
}

/**
 * Vitest's global setup: one etcd, one Consul and one Postgres for the whole run. Each is taken from the
 * environment (`HOLDFAST_ETCD`, `HOLDFAST_CONSUL`, `HOLDFAST_POSTGRES`) or started here.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = await Promise.allSettled([
    provideEtcd(project),
    provideConsul(project),
    providePostgres(project),
  ]);
  const teardown = async () => {
    for (const server of servers) {
      if (server.status === 'fulfilled') await server.value?.[Symbol.asyncDispose]();
    }
  };
  for (const server of servers) {
    if (server.status === 'fulfilled') continue;
    await teardown();
    throw server.reason;
  }
  return teardown;
}

async function provideEtcd(project: TestProject): Promise<EtcdServer | undefined> {
  const given = process.env.HOLDFAST_ETCD;
  if (given) await ask('HOLDFAST_ETCD', given, '/version');
  const server = given ? undefined : await startEtcd();
  project.provide('etcdAddress', server?.address ?? given ?? '');
  return server;
}

async function provideConsul(project: TestProject): Promise<ConsulServer | undefined> {
  const given = process.env.HOLDFAST_CONSUL;
  const server = given ? undefined : await startConsul({ sessionTtlMin: '1s' });
  const address = server?.address ?? given ?? '';
  const self = JSON.parse(await ask('HOLDFAST_CONSUL', address, '/v1/agent/self')) as {
    DebugConfig: { SessionTTLMin: string };
  };
  project.provide('consulAddress', address);
  // A server that was not told says "0s", and means its default.
  const minimum = self.DebugConfig.SessionTTLMin;
  project.provide('consulSessionTtlMin', minimum === '0s' ? '10s' : minimum);
  return server;
}

async function providePostgres(project: TestProject): Promise<PostgresServer | undefined> {
  const given = process.env.HOLDFAST_POSTGRES;
  const server = given ? undefined : await startPostgres();
  const address = server?.address ?? given ?? '';
  const pool = new Pool({ connectionString: postgresUrl(address), max: 1 });
  try {
    await install(pool);
  } finally {
    await pool.end();
  }
  project.provide('postgresAddress', address);
  return server;
}

async function ask(variable: string, address: string, path: string): Promise<string> {
  const answer = await httpRequest(address, path).catch((cause: unknown) => {
    throw new Error(`Nothing answers at ${variable}=${address}.`, { cause });
  });
  if (answer.status === 200) return answer.body;
  throw new Error(
    `The server at ${variable}=${address} answered ${answer.status} to ${path}: ${answer.body}`,
  );
}
