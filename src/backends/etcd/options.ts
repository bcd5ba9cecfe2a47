import type { Etcd3 } from 'etcd3';
import { refused, type SyncError } from '../../contract/errors.ts';
import { inside, type Names, refuseUnknown } from '../../contract/options.ts';
import { type Address, addressOf } from '../kit/addresses.ts';
import { Present, type Provided } from '../kit/provided.ts';
import { checkTls, type Tls as EtcdTls, TLS } from '../kit/tls.ts';
import { isClient } from './client.ts';

export type { EtcdTls };

export interface EtcdOptions {
  /**
   * `host:port`, or `https://host:port` for TLS. The default is `127.0.0.1:2379`, the default port 2379. With several
   * the backend stays with one and changes over when it fails.
   */
  readonly hosts?: string | readonly string[];
  /**
   * For a cluster with authentication. Tokens are fetched and renewed as needed. Where they are rotated, give functions: they are
   * asked at each login, the name before the password, and once more when the server refuses them.
   */
  readonly username?: Provided<string>;
  readonly password?: Provided<string>;
  /**
   * For hosts with `https://`. A function is asked at each new connection. With a function, as with a certificate of ours, commits
   * issued together go one by one.
   */
  readonly tls?: Provided<EtcdTls>;
  /**
   * A client of the application, in place of the options above: its hosts, credentials, TLS and gRPC options, with what it knows at
   * each request; not its retries and call options, since a write that had no answer must not be sent twice. It is not closed on
   * disposal. Give it `grpcOptions: { 'grpc.keepalive_time_ms': 10_000, 'grpc.dns_min_time_between_resolutions_ms': 1_000 }`, or a
   * silent network, or a new address behind a name, is noticed late.
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
   * never answered, and holds up its lock for so long, while a cluster has a new leader within 2 s. A connection on which nothing
   * was heard for half of it is left for a new one.
   */
  readonly requestTimeout?: number;
}

export interface NameAndPassword {
  readonly username: string;
  readonly password: string;
}

/** What a client of our own is made from. */
export interface Dial {
  readonly addresses: readonly string[];
  readonly secure: boolean;
  readonly tls: Present<EtcdTls> | undefined;
  readonly login: Present<NameAndPassword> | undefined;
}

export interface Resolved {
  readonly via: { readonly client: Etcd3 } | { readonly dial: Dial };
  readonly lockName: ((key: string) => string) | undefined;
  readonly requestTimeout: number;
}

const DEFAULT_HOST = '127.0.0.1:2379';
const EXAMPLE = '10.0.0.1:2379';
const PORTS = { plain: 2379, secure: 2379 };
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
  if (!isClient(client)) {
    throw invalid('client', 'must be an Etcd3 of the package etcd3, and none of its namespaces');
  }
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
  if ('client' in via || via.dial.login !== undefined) return false;
  const { tls } = via.dial;
  return tls === undefined || (tls.known !== undefined && tls.known.cert === undefined);
}

function resolveDial({ hosts = DEFAULT_HOST, username, password, tls }: EtcdOptions): Dial {
  const list = typeof hosts === 'string' ? [hosts] : hosts;
  if (!Array.isArray(list) || list.length === 0)
    throw invalid('hosts', 'must be an address or a list of them');
  const parsed: Address[] = list.map((host) => addressOf('hosts', host, PORTS, EXAMPLE, invalid));
  const secure = parsed.some((address) => address.secure === true);
  if (secure && parsed.some((address) => address.secure !== true)) {
    throw invalid('hosts', 'must be all with https:// or all without');
  }
  if (tls !== undefined && !secure) throw invalid('tls', 'needs "hosts" with https://');
  return {
    addresses: [...new Set(parsed.map(({ host, port }) => `${host}:${port}`))],
    secure,
    tls: tls === undefined ? undefined : new Present(tls, (value) => checkTls(value, TLS, invalid), 'tls'),
    login: resolveLogin(username, password),
  };
}

function resolveLogin(
  username: Provided<string> | undefined,
  password: Provided<string> | undefined,
): Dial['login'] {
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined) throw invalid('username', 'is missing, but there is a "password"');
  if (password === undefined) throw invalid('password', 'is missing, but there is a "username"');
  const check = (login: NameAndPassword): void => {
    checkText('username', login.username);
    checkText('password', login.password);
  };
  if (typeof username !== 'function' && typeof password !== 'function') {
    return new Present({ username, password }, check);
  }
  if (typeof username !== 'function') checkText('username', username);
  if (typeof password !== 'function') checkText('password', password);
  // One after the other: whoever fetches both when asked for the name has the password that goes with it.
  const both = async (): Promise<NameAndPassword> => ({
    username: await present(username),
    password: await present(password),
  });
  return new Present(both, check, 'username" or "password');
}

function present(provided: Provided<string>): string | Promise<string> {
  return typeof provided === 'function' ? provided() : provided;
}

function checkText(option: string, text: unknown): void {
  if (typeof text !== 'string' || text === '') throw invalid(option, 'must be a string, not empty');
}

function invalid(option: string, problem: string): SyncError {
  return refused('invalid-option', `etcd option "${option}" ${problem}`);
}
