import { isIPv6 } from 'node:net';
import { invalidOf } from './checks.ts';

/** Where a proxy passes connections on to. */
export interface TcpTarget {
  readonly host: string;
  readonly port: number;
}

const LAST_PORT = 65_535;

const invalid = invalidOf('TcpProxy');

/** Of `host:port`, with an IPv6 address in brackets. What is refused is not repeated: a URL may hold a password. */
export function targetOf(target: unknown): TcpTarget {
  if (typeof target !== 'string') throw invalid('target', `must be a string such as "127.0.0.1:8500"`);
  if (target.includes('/')) {
    throw invalid('target', 'must be "host:port" and no URL: leave out the scheme and the path');
  }
  const [, inBrackets, name, digits] = /^(?:\[([^[\]]+)\]|([^[\]:?#@\s]+)):(\d{1,5})$/.exec(target) ?? [];
  const port = Number(digits);
  const host = inBrackets ?? name;
  if (host === undefined) {
    throw invalid('target', 'must be "host:port", with an IPv6 address in brackets: "[::1]:8500"');
  }
  if (inBrackets !== undefined && !isIPv6(inBrackets)) {
    throw invalid('target', 'must have nothing but an IPv6 address in brackets');
  }
  if (port < 1 || port > LAST_PORT) throw invalid('target', `must have a port from 1 to ${LAST_PORT}`);
  return { host, port };
}
