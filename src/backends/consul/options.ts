import { refused, type SyncError } from '../../contract/errors.ts';
import { inside, type Names, refuseUnknown } from '../../contract/options.ts';
import { addressOf, hostProblem, socketPathOf } from '../kit/addresses.ts';
import { Present, type Provided } from '../kit/provided.ts';
import { checkTls, TLS, type Tls } from '../kit/tls.ts';
import { type ConsulClient, createClient, isConsulClient, lentProblem, type Server } from './client.ts';
import { GO_LOCK_FLAGS } from './record.ts';

export interface ConsulTls extends Tls {
  /** The name to expect in the certificate, where it is not the host's. */
  readonly servername?: string;
  /** `false` accepts any certificate. For experiments only: whoever is in the middle then reads the token. */
  readonly rejectUnauthorized?: boolean;
}

export interface ConsulOptions {
  /**
   * `host:port`, `https://host:port` for TLS, or `unix:///path` for a socket. With several the backend stays with one and changes
   * over when that one fails as a whole or falls silent.
   */
  readonly addresses?: readonly string[];
  /** Default `127.0.0.1`. */
  readonly host?: string;
  /** Default 8500. */
  readonly port?: number;
  /** TLS, for `host` and `port` or for `addresses` without a scheme. Default: whether there is a `tls`. */
  readonly secure?: boolean;
  /**
   * ACL token. Sent as a header, never told in an error. A function, sync or async, is asked when one is needed, for each address
   * anew, and when the one it gave was refused: for tokens that are rotated.
   */
  readonly token?: Provided<string>;
  /** A function, sync or async, is asked for each new connection: for certificates that are rotated. */
  readonly tls?: Provided<ConsulTls>;
  /**
   * A ready-made client of the npm package `consul`: its address, its agent's settings, and its default token, datacenter and
   * partition as they are at each request. What of it could not be kept is refused by name.
   */
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
  /**
   * The node that sessions belong to: they end when it leaves or is deregistered. Default: that of the agent that is asked, which
   * takes all its sessions along when it is stopped in good order (SIGTERM).
   */
  readonly node?: string;
  /** Default: the agent's. Sessions in another one than the agent's need `node`, one that is registered there. */
  readonly datacenter?: string;
  /** Milliseconds for one request, connecting included. Default 5,000. */
  readonly requestTimeout?: number;
  /**
   * The most connections to hold open. Default 64, at least 8; an agent refuses a client address more than 200
   * (`http_max_conns_per_client`), and several services may share one.
   */
  readonly maxConnections?: number;
}

export interface Settings {
  /** One for each server, or that of the application alone. */
  readonly clients: readonly ConsulClient[];
  /** That of the application. */
  readonly lent: ConsulClient | undefined;
  readonly token: Present<string> | undefined;
  readonly tls: Present<ConsulTls> | undefined;
  readonly datacenter: string | undefined;
  readonly node: string | undefined;
  readonly sessionTtlMin: number;
  readonly lockFlags: bigint;
  readonly checks: readonly string[];
  readonly requestTimeout: number;
  readonly maxConnections: number;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;
const LONGEST_TTL = 86_400_000;
const MOST_CONNECTIONS = 10_000;
const PLAIN_PORT = 8500;
const SECURE_PORT = 8501;
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
  node: true,
  datacenter: true,
  requestTimeout: true,
  maxConnections: true,
};

const CONSUL_TLS: Names<ConsulTls> = { ...TLS, servername: true, rejectUnauthorized: true };

/** Every option is looked at before the first request. Throws a `SyncError` `invalid-option` that names it. */
export function settingsOf(options: ConsulOptions): Settings {
  refuseUnknown(options, OPTIONS, invalid, { elsewhere: inside('tls', CONSUL_TLS) });
  const { sessionTtlMin = 10_000, lockFlags = GO_LOCK_FLAGS, checks = [], node, datacenter } = options;
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
  if (node !== undefined && (typeof node !== 'string' || node === '')) {
    throw invalid('node', 'must be the name of a node');
  }
  if (datacenter !== undefined && !/^[\w-]+$/.test(String(datacenter))) {
    throw invalid('datacenter', 'must be a name of letters, digits, "-" and "_"');
  }
  const limits = { sessionTtlMin, requestTimeout, maxConnections };
  return { ...whereTo(options), datacenter, node, lockFlags, checks: [...checks], ...limits };
}

export function invalid(option: string, problem: string): SyncError {
  return refused('invalid-option', `consul option "${option}" ${problem}`);
}

function whereTo(options: ConsulOptions): Pick<Settings, 'clients' | 'lent' | 'token' | 'tls'> {
  const { client, token, tls } = options;
  if (client === undefined) {
    return {
      clients: serversOf(options).map(createClient),
      lent: undefined,
      token: token === undefined ? undefined : new Present(token, checkToken, 'token'),
      tls: tls === undefined ? undefined : new Present(tls, checkConsulTls, 'tls'),
    };
  }
  if (!isConsulClient(client)) throw invalid('client', 'must be a Consul of the npm package "consul"');
  for (const name of NOT_WITH_CLIENT) {
    if (options[name] !== undefined) throw invalid(name, 'must not be given together with "client"');
  }
  const problem = lentProblem(client);
  if (problem !== undefined) throw invalid('client', problem);
  return { clients: [client], lent: client, token: undefined, tls: undefined };
}

function checkToken(token: unknown): void {
  if (typeof token === 'string' && HEADER_SAFE.test(token)) return;
  throw invalid('token', 'must be a string of printable ASCII without spaces');
}

function checkConsulTls(tls: ConsulTls): void {
  checkTls(tls, CONSUL_TLS, invalid);
  const { servername, rejectUnauthorized } = tls;
  if (servername !== undefined && (typeof servername !== 'string' || servername === '')) {
    throw invalid('tls', 'has a "servername" that is no name');
  }
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== 'boolean') {
    throw invalid('tls', 'has a "rejectUnauthorized" that is neither true nor false');
  }
}

function serversOf({ addresses, host, port, secure, tls = {} }: ConsulOptions): Server[] {
  if (secure !== undefined && typeof secure !== 'boolean') throw invalid('secure', 'must be true or false');
  if (typeof tls !== 'function') checkConsulTls(tls);
  const hasTls = typeof tls === 'function' || Object.values(tls).some((value) => value !== undefined);
  const isSecure = secure ?? hasTls;
  const servers = addresses === undefined ? [serverAt(isSecure, host, port)] : serversAt(isSecure, addresses);
  if (addresses !== undefined && host !== undefined)
    throw invalid('host', 'must not be given with "addresses"');
  if (addresses !== undefined && port !== undefined)
    throw invalid('port', 'must not be given with "addresses"');
  const isPlain = servers.some((server) => !('host' in server && server.secure));
  if (isPlain && secure) throw invalid('addresses', 'must not say http:// or unix:// when "secure" is true');
  if (isPlain && hasTls) throw invalid('tls', 'needs TLS: "secure: true", or https:// in every address');
  return servers;
}

function serverAt(secure: boolean, host = '127.0.0.1', port = PLAIN_PORT): Server {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalid('port', `must be a whole number from 1 to 65535, not ${shown(port)}`);
  }
  const problem = hostProblem(host);
  if (problem !== undefined) throw invalid('host', problem);
  return { secure, host: host.includes(':') && !host.startsWith('[') ? `[${host}]` : host, port };
}

function serversAt(isSecure: boolean, addresses: readonly string[]): Server[] {
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw invalid('addresses', 'must be a list with at least one address');
  }
  const ports = { plain: isSecure ? SECURE_PORT : PLAIN_PORT, secure: SECURE_PORT };
  return addresses.map((address: unknown) => {
    const socketPath = socketPathOf('addresses', address, invalid);
    if (socketPath !== undefined) return { socketPath };
    const {
      host,
      port,
      secure = isSecure,
    } = addressOf('addresses', address, ports, '10.0.0.1:8500', invalid);
    return { secure, host, port };
  });
}

function checkNumber(option: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  throw invalid(option, `must be a number from ${least} to ${most}, not ${shown(value)}`);
}

/** What is none may be what should stand elsewhere, such as a password. */
function shown(value: unknown): string {
  return typeof value === 'number' ? `${value}` : `a ${typeof value}`;
}
