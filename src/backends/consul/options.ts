import { REFUSED, SyncError } from '../../contract/errors.ts';
import { inside, type Names, refuseUnknown } from '../../contract/options.ts';
import { type ConsulClient, canReplaceAgent, isConsulClient } from './client.ts';
import { GO_LOCK_FLAGS } from './record.ts';
import { type ConsulTls, checkTls, TLS } from './tls.ts';

export interface ConsulOptions {
  /**
   * `host:port`, or `https://host:port` for TLS. With several the backend stays with one and changes over when its
   * connection fails.
   */
  readonly addresses?: readonly string[];
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 8500. */
  readonly port?: number;
  /** TLS, for `host` and `port` or for `addresses` without a scheme. Default: whether there is a `tls`. */
  readonly secure?: boolean;
  /** ACL token. Sent as a header, never told in an error. */
  readonly token?: string;
  readonly tls?: ConsulTls;
  /** A ready-made client of the npm package `consul`: its address, TLS settings, token and datacenter are used. */
  readonly client?: ConsulClient;
  /** The servers' `session_ttl_min`, in milliseconds. Default 10,000, which is theirs. */
  readonly sessionTtlMin?: number;
  /** Marks a record as a lock. Default: the mark of Go's `api.Lock` and of `consul lock`. */
  readonly lockFlags?: bigint;
  /**
   * Checks of the agent's node that end the session when they fail, such as `serfHealth`. Default none: the TTL alone
   * decides, because a check that fails too easily takes locks away from a healthy holder.
   */
  readonly checks?: readonly string[];
  readonly datacenter?: string;
  /** Milliseconds for one request, connecting included. Default 5,000. */
  readonly requestTimeout?: number;
  /**
   * The most connections to hold open. Default 64, at least 8; an agent refuses a client address more than 200
   * (`http_max_conns_per_client`), and several services may share one.
   */
  readonly maxConnections?: number;
}

export type Endpoint = { readonly url: URL; readonly tls: ConsulTls } | { readonly client: ConsulClient };

export interface Settings {
  readonly endpoints: readonly Endpoint[];
  readonly token: string | undefined;
  readonly datacenter: string | undefined;
  readonly sessionTtlMin: number;
  readonly lockFlags: bigint;
  readonly checks: readonly string[];
  readonly requestTimeout: number;
  readonly maxConnections: number;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;
const LONGEST_TTL = 86_400_000;
const MOST_CONNECTIONS = 10_000;
/** The values of HTTP headers: anything else would fail at the first request, and with the token in the error. */
const HEADER_SAFE = /^[\x21-\x7e]+$/;
const NOT_WITH_CLIENT = ['addresses', 'host', 'port', 'secure', 'token', 'tls', 'datacenter'] as const;

const OPTIONS: Names<ConsulOptions> = {
  addresses: true,
  host: true,
  port: true,
  secure: true,
  token: true,
  tls: true,
  client: true,
  sessionTtlMin: true,
  lockFlags: true,
  checks: true,
  datacenter: true,
  requestTimeout: true,
  maxConnections: true,
};

/** Every option is looked at before the first request. Throws a `SyncError` `invalid-option` that names it. */
export function settingsOf(options: ConsulOptions): Settings {
  refuseUnknown(options, OPTIONS, invalid, { elsewhere: inside('tls', TLS) });
  const { sessionTtlMin = 10_000, lockFlags = GO_LOCK_FLAGS, checks = [] } = options;
  const { requestTimeout = 5_000, maxConnections = 64 } = options;
  checkNumber('sessionTtlMin', sessionTtlMin, 1, LONGEST_TTL);
  checkNumber('requestTimeout', requestTimeout, 1, LONGEST_TIMEOUT);
  checkNumber('maxConnections', maxConnections, 8, MOST_CONNECTIONS);
  if (!Number.isInteger(maxConnections)) throw invalid('maxConnections', 'must be a whole number');
  if (typeof lockFlags !== 'bigint' || lockFlags <= 0n || lockFlags >= 2n ** 64n) {
    throw invalid('lockFlags', 'must be a bigint from 1n to 2n ** 64n - 1n: 0 marks plain data');
  }
  if (!Array.isArray(checks) || !checks.every((check) => typeof check === 'string' && check !== '')) {
    throw invalid('checks', 'must be a list of check ids');
  }
  const { endpoints, token, datacenter } = whereTo(options);
  if (token !== undefined && !(typeof token === 'string' && HEADER_SAFE.test(token))) {
    throw invalid('token', 'must be a string of printable ASCII without spaces');
  }
  if (datacenter !== undefined && !/^[\w-]+$/.test(String(datacenter))) {
    throw invalid('datacenter', 'must be a name of letters, digits, "-" and "_"');
  }
  const limits = { sessionTtlMin, requestTimeout, maxConnections };
  return { endpoints, token, datacenter, lockFlags, checks: [...checks], ...limits };
}

export function invalid(option: string, problem: string): SyncError {
  return new SyncError('invalid-option', `consul option "${option}" ${problem}`, REFUSED);
}

function whereTo(options: ConsulOptions): Pick<Settings, 'endpoints' | 'token' | 'datacenter'> {
  const { client, token, datacenter } = options;
  if (client === undefined) return { endpoints: ownEndpoints(options), token, datacenter };
  if (!isConsulClient(client)) throw invalid('client', 'must be a Consul of the npm package "consul"');
  for (const name of NOT_WITH_CLIENT) {
    if (options[name] !== undefined) throw invalid(name, 'must not be given together with "client"');
  }
  if (!canReplaceAgent(client)) throw invalid('client', 'has an agent of another kind than those of Node');
  const { _defaults: defaults = {} } = client;
  return { endpoints: [{ client }], token: defaults.token, datacenter: defaults.dc };
}

function ownEndpoints({ addresses, host, port, secure, tls = {} }: ConsulOptions): Endpoint[] {
  if (secure !== undefined && typeof secure !== 'boolean') throw invalid('secure', 'must be true or false');
  checkTls(tls, invalid);
  const hasTls = Object.values(tls).some((value) => value !== undefined);
  const scheme = (secure ?? hasTls) ? 'https' : 'http';
  const urls = addresses === undefined ? [hostUrl(scheme, host, port)] : addressUrls(scheme, addresses);
  if (addresses !== undefined && host !== undefined)
    throw invalid('host', 'must not be given with "addresses"');
  if (addresses !== undefined && port !== undefined)
    throw invalid('port', 'must not be given with "addresses"');
  const plain = urls.some((url) => url.protocol === 'http:');
  if (plain && secure) throw invalid('addresses', 'must not say http:// when "secure" is true');
  if (plain && hasTls) throw invalid('tls', 'needs TLS: "secure: true", or https:// in every address');
  return urls.map((url) => ({ url, tls }));
}

function hostUrl(scheme: string, host = '127.0.0.1', port = 8500): URL {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalid('port', `must be a whole number from 1 to 65535, not ${String(port)}`);
  }
  const bare = typeof host === 'string' && host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const url = typeof host === 'string' && host !== '' ? parse(`${scheme}://${bare}:${port}`) : undefined;
  if (url === undefined || /[/?#@\s]/.test(host))
    throw invalid('host', 'must be a host name or an IP address');
  return url;
}

function addressUrls(scheme: string, addresses: readonly string[]): URL[] {
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw invalid('addresses', 'must be a list with at least one address');
  }
  return addresses.map((address: unknown) => {
    const text = String(address);
    const url = parse(/^https?:\/\//i.test(text) ? text : `${scheme}://${text}`);
    // The address is not repeated here: with a user and a password in it, that would tell a secret.
    if (url === undefined || typeof address !== 'string') {
      throw invalid('addresses', 'must hold addresses like "10.0.0.1:8500"');
    }
    if (url.username !== '' || url.password !== '') throw invalid('addresses', 'must not hold credentials');
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
      throw invalid('addresses', 'must hold addresses without a path');
    }
    // The URL drops the port that is its scheme's own, and then the default would be Consul's.
    if (url.port === '' && !/:\d+\/?$/.test(text)) url.port = url.protocol === 'https:' ? '8501' : '8500';
    return url;
  });
}

function parse(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function checkNumber(option: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number' || !(value >= least && value <= most)) {
    throw invalid(option, `must be a number from ${least} to ${most}, not ${String(value)}`);
  }
}
