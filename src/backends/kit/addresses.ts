import type { Invalid } from '../../contract/options.ts';

/** Where a server is, as an option says it. */
export interface Address {
  /** As it goes into a URL: with brackets around an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** With `http` or `https` before it; `undefined` where nothing was said. */
  readonly secure: boolean | undefined;
}

const PARTS = /^(?:(https?):\/\/)?([^/?#]*)(.*)$/is;

/**
 * `host:port`, with `http://` or `https://` before it if need be. Throws what `invalid` makes; never with the address in it, which
 * may hold a password.
 *
 * @param example a good one, for the error.
 */
export function addressOf(
  option: string,
  address: unknown,
  port: { readonly plain: number; readonly secure: number },
  example: string,
  invalid: Invalid,
): Address {
  const bad = (): Error => invalid(option, `must hold addresses like "${example}"`);
  if (typeof address !== 'string') throw bad();
  const [, scheme, authority = '', rest = ''] = PARTS.exec(address) ?? [];
  const secure = scheme === undefined ? undefined : scheme.toLowerCase() === 'https';
  if (authority.includes('@')) throw invalid(option, 'must not hold credentials');
  if (rest !== '' && rest !== '/') throw invalid(option, 'must hold addresses without a path');
  // The scheme's own port would be dropped by a URL of that scheme.
  const text = `ws://${authority}`;
  const [, given] = /:(\d+)$/.exec(authority) ?? [];
  if (authority === '' || !URL.canParse(text)) throw bad();
  const { hostname } = new URL(text);
  if (hostname === '' || given === '0') throw bad();
  return {
    host: hostname,
    port: given === undefined ? (secure ? port.secure : port.plain) : Number(given),
    secure,
  };
}

/** The path in `unix:///path`, or nothing for what is no address of a socket. Throws what `invalid` makes for one without a path. */
export function socketPathOf(option: string, address: unknown, invalid: Invalid): string | undefined {
  const [, path] = (typeof address === 'string' && /^unix:(?:\/\/)?(.*)$/is.exec(address)) || [];
  if (path === undefined) return undefined;
  if (path.startsWith('/') && !path.includes('\0')) return path;
  throw invalid(option, 'must hold sockets like "unix:///run/agent.sock"');
}

/** What is wrong with the name or the IP address of a host, or nothing. It is not repeated: a password may stand in it. */
export function hostProblem(host: unknown): string | undefined {
  const isHost =
    typeof host === 'string' &&
    host !== '' &&
    !/[/?#@\s]/.test(host) &&
    URL.canParse(`ws://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}`);
  return isHost ? undefined : 'must be a host name or an IP address';
}
