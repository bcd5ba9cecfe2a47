import { createSecureContext } from 'node:tls';
import type { Etcd3 } from 'etcd3';
import { REFUSED, SyncError } from '../../contract/errors.ts';
import { inside, type Names, refuseUnknown } from '../../contract/options.ts';

export interface EtcdTls {
  /** PEM of the authority that signed the servers' certificates. Default: those that Node trusts. */
  readonly ca?: Buffer | string;
  /** PEM of a client certificate, with `key`. */
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
}

export interface EtcdOptions {
  /**
   * `host:port`, or `https://host:port` for TLS. The default is `127.0.0.1:2379`, the default port 2379. With several
   * the backend stays with one and changes over when it fails.
   */
  readonly hosts?: string | readonly string[];
  /** For a cluster with authentication. Tokens are fetched and renewed as needed. */
  readonly username?: string;
  readonly password?: string;
  readonly tls?: EtcdTls;
  /**
   * A client of the application, in place of the options above. It is not closed on disposal. Give it
   * `grpcOptions: { 'grpc.keepalive_time_ms': 10_000 }`, or a silent network is noticed late.
   */
  readonly client?: Etcd3;
  /**
   * The name under which a lock is known to other clients of Go's `concurrency` package and to `etcdctl lock`; the
   * contenders are `<name>/<lease id>`. Default: `<key>/.lock`, which keeps the lock `a` apart from the lock `a/b`
   * and from data under `a/`. Whoever changes it answers for names that are not each other's prefix.
   */
  readonly lockName?: (key: string) => string;
  /**
   * Milliseconds for one request, connecting included. Default 3,000: a write that was on its way to a leader that died is
   * never answered, and holds up its lock for so long, while a cluster has a new leader within 2 s.
   */
  readonly requestTimeout?: number;
}

/** What a client of our own is made from. */
export interface Dial {
  readonly addresses: readonly string[];
  readonly secure: boolean;
  readonly tls: EtcdTls | undefined;
  readonly login: { readonly username: string; readonly password: string } | undefined;
}

export interface Resolved {
  readonly via: { readonly client: Etcd3 } | { readonly dial: Dial };
  readonly lockName: ((key: string) => string) | undefined;
  readonly requestTimeout: number;
}

const DEFAULT_HOST = '127.0.0.1:2379';
const DEFAULT_PORT = 2379;
const DEFAULT_REQUEST_TIMEOUT = 3_000;
/** The longest timer of Node. */
const MAX_REQUEST_TIMEOUT = 2 ** 31 - 1;
const ONLY_WITHOUT_CLIENT = ['hosts', 'username', 'password', 'tls'] as const;

const OPTIONS: Names<EtcdOptions> = {
  hosts: true,
  username: true,
  password: true,
  tls: true,
  client: true,
  lockName: true,
  requestTimeout: true,
};
const TLS: Names<EtcdTls> = { ca: true, cert: true, key: true };

export function resolveOptions(options: EtcdOptions): Resolved {
  refuseUnknown(options, OPTIONS, invalid, { elsewhere: inside('tls', TLS) });
  const { client, lockName, requestTimeout = DEFAULT_REQUEST_TIMEOUT } = options;
  if (typeof requestTimeout !== 'number' || !(requestTimeout > 0 && requestTimeout <= MAX_REQUEST_TIMEOUT)) {
    throw invalid(
      'requestTimeout',
      `must be milliseconds above 0 and below 2^31, not ${String(requestTimeout)}`,
    );
  }
  if (lockName !== undefined && typeof lockName !== 'function') {
    throw invalid('lockName', `must be a function from key to name, not ${typeof lockName}`);
  }
  if (client === undefined) return { via: { dial: resolveDial(options) }, lockName, requestTimeout };
  if (typeof client?.kv !== 'object') throw invalid('client', 'must be an Etcd3 of the package etcd3');
  for (const name of ONLY_WITHOUT_CLIENT) {
    if (options[name] !== undefined) throw invalid(name, 'must not be given together with "client"');
  }
  return { via: { client }, lockName, requestTimeout };
}

/**
 * Whether commits may be nested in one: not where users have rights, which etcd does not look at inside of nested transactions
 * (3.5.16); we do not go round them.
 */
export function mayGroup({ via }: Resolved): boolean {
  return 'dial' in via && via.dial.login === undefined && via.dial.tls?.cert === undefined;
}

function resolveDial({ hosts = DEFAULT_HOST, username, password, tls }: EtcdOptions): Dial {
  const list = typeof hosts === 'string' ? [hosts] : hosts;
  if (!Array.isArray(list) || list.length === 0)
    throw invalid('hosts', 'must be an address or a list of them');
  const parsed = list.map(parseHost);
  const secure = parsed.some((host) => host.secure);
  if (secure && parsed.some((host) => !host.secure)) {
    throw invalid('hosts', 'must be all with https:// or all without');
  }
  const addresses = [...new Set(parsed.map((host) => host.address))];
  if (tls !== undefined) checkTls(tls, secure);
  return { addresses, secure, tls, login: resolveLogin(username, password) };
}

function parseHost(host: unknown): { address: string; secure: boolean } {
  if (typeof host !== 'string') throw invalid('hosts', `must hold strings, not ${typeof host}`);
  const [, scheme = 'http', rest] = /^(?:(https?):\/\/)?(.*)$/s.exec(host) ?? [];
  const url = URL.canParse(`http://${rest}`) ? new URL(`http://${rest}`) : undefined;
  // The address itself is not repeated here: with a user and a password in it, that would tell a secret.
  if (url === undefined || url.hostname === '')
    throw invalid('hosts', 'must hold addresses like "10.0.0.1:2379"');
  if (url.username !== '' || url.password !== '') {
    throw invalid('hosts', 'must not hold credentials; use "username" and "password"');
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw invalid('hosts', `must hold addresses without a path, not ${JSON.stringify(host)}`);
  }
  // URL drops the port 80 as the scheme's default.
  const port = url.port || (/:0*80\/?$/.test(rest ?? '') ? '80' : String(DEFAULT_PORT));
  return { address: `${url.hostname}:${port}`, secure: scheme === 'https' };
}

function checkTls(tls: EtcdTls, secure: boolean): void {
  refuseUnknown(tls, TLS, invalid, { where: 'tls' });
  if (!secure) throw invalid('tls', 'needs "hosts" with https://');
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw invalid('tls', 'needs "cert" and "key" together');
  try {
    createSecureContext(tls);
  } catch {
    throw invalid('tls', 'has a "ca", "cert" or "key" that is not PEM, or that do not belong together');
  }
}

function resolveLogin(username: string | undefined, password: string | undefined): Dial['login'] {
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined) throw invalid('username', 'is missing, but there is a "password"');
  if (password === undefined) throw invalid('password', 'is missing, but there is a "username"');
  if (typeof username !== 'string' || username === '')
    throw invalid('username', 'must be a string, not empty');
  if (typeof password !== 'string' || password === '')
    throw invalid('password', 'must be a string, not empty');
  return { username, password };
}

function invalid(option: string, problem: string): SyncError {
  return new SyncError('invalid-option', `etcd option "${option}" ${problem}`, REFUSED);
}
