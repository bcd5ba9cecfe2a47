import type { IncomingHttpHeaders } from 'node:http';
import { REFUSED, SyncError, type SyncErrorCode } from '../../contract/errors.ts';
import { isTlsFault } from '../kit/tls.ts';
import { ExchangeError } from './client.ts';

interface NetworkError extends Error {
  readonly code?: string;
  readonly syscall?: string;
  readonly errors?: readonly NetworkError[];
}

/** What a server answered, and to whom. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** What was dialled. */
  readonly address: string;
  /** With which it was asked. */
  readonly token: string | undefined;
}

/** An answer that is larger than the reader allowed for. The watches then read in smaller pieces. */
export class TooLargeError extends SyncError {
  constructor(message: string) {
    super('bad-response', message);
  }
}

/** No such node where a session was to be made: one that is only starting, or never to be. */
export class NotRegisteredError extends SyncError {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/** Longer texts of a server are not repeated, nor those that are no plain text. */
const LONGEST_TEXT = 300;

const DENIED = /ACL not found|Permission denied/i;
/** What Consul, or Go's HTTP server in it, says of a request that it did not take in. */
const UNREADABLE =
  /^(?:Failed to (?:parse|decode) |Request body|Transaction contains too many operations|Value for key |Client sent an HTTP request to an HTTPS server)/;

/** What an agent says that has lost its servers, or a server that has lost its leader. */
const WITHOUT_SERVERS =
  /No cluster leader|No known Consul servers|Raft leader not found|error getting client/;

/**
 * Codes that only a handshake has. The others of TLS can also come later, such as when the answer is garbled, and then the
 * request was sent.
 */
const HANDSHAKE_CODE =
  /^(?:ERR_TLS_CERT|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** The connection was never there, so the request was not sent. */
export function wasNeverSent(error: unknown): boolean {
  const { syscall, code, errors } = error as NetworkError;
  // Node tries the addresses of a name one after the other, and then tells of all in one error.
  if (errors !== undefined && errors.length > 0) return errors.every(wasNeverSent);
  return syscall === 'connect' || syscall === 'getaddrinfo' || HANDSHAKE_CODE.test(code ?? '');
}

export function isOfTls(error: unknown): boolean {
  return isTlsFault((error as NetworkError).code);
}

export function exchangeError(error: unknown, address: string): SyncError {
  const { code = '', message } = error as NetworkError;
  const cause = new Error(message || code || 'unknown');
  // A connection that was garbled or closed had carried the request, and may have been heard.
  const outcome = wasNeverSent(error) ? 'refused' : 'unknown';
  const fail = (kind: SyncErrorCode, sentence: string) => new SyncError(kind, sentence, { cause, outcome });
  if (error instanceof ExchangeError) {
    if (error.why === 'too-large') return new TooLargeError(`Consul at ${address} answered with ${message}`);
    if (error.why === 'timeout') {
      return fail(
        'unavailable',
        `Consul at ${address} gave ${message}: is the network up, and is there a leader?`,
      );
    }
    return fail('unavailable', `Consul at ${address} did not answer to the end: ${message}`);
  }
  if (isTlsFault(code)) {
    return fail(
      'insecure',
      `no TLS connection to Consul at ${address} (${code}): check the CA, the name in the certificate, its dates, and whether the port speaks TLS`,
    );
  }
  if (code.startsWith('HPE_')) {
    return fail(
      'bad-response',
      `what ${address} answered is not HTTP (${code}): is that the port of Consul's HTTP API?`,
    );
  }
  const hint =
    code === 'ECONNREFUSED' ? 'is the agent running there?' : 'is the address right, and is the network up?';
  return fail(
    'unavailable',
    `Consul at ${address} was not reached (${code || 'connection failed'}): ${hint}`,
  );
}

/** For an answer with a status that its caller has no use for. */
export function statusError(answer: Answer): SyncError {
  const { status, address } = answer;
  const text = plainText(answer);
  const said = `Consul at ${address} answered ${status}${text && ` (${text})`}`;
  if (/Missing node registration/i.test(text)) {
    return new NotRegisteredError(`${said}: is the agent starting, and "node" right?`);
  }
  const { code, hint } = meaningOf(status, text);
  const options = isOwnWord(status, text) ? REFUSED : {};
  return new SyncError(code, hint === '' ? said : `${said}: ${hint}`, options);
}

/** For what is none. */
export function badAnswer({ address }: Answer, how: string): SyncError {
  return new SyncError('bad-response', `what ${address} answered ${how}: is that Consul?`);
}

/** Whether it is for its caller to read. A 404 without Consul's marks comes from something that knows no such path. */
export function isForCaller({ status, headers, body }: Answer): boolean {
  if (status === 404) return headers['x-consul-index'] !== undefined || /^Session id /i.test(body.toString());
  return (status >= 200 && status < 300) || status === 409;
}

/** Whether the agent can serve nobody at present. Other failures may be about one key. */
export function isOfWholeServer(error: SyncError): boolean {
  return error.code === 'unavailable' && WITHOUT_SERVERS.test(error.message);
}

/**
 * Whether a server said no before it did anything. By the status alone something between us may have said so, of a request
 * that it had passed on: the text must be one that Consul has for it.
 */
function isOwnWord(status: number, text: string): boolean {
  if (status === 403) return DENIED.test(text);
  return (status === 400 || status === 413) && UNREADABLE.test(text);
}

/** What a server says in an error list or a plain-text body, without anything secret. */
export function withoutToken(text: string, { token = '' }: Pick<Answer, 'token'>): string {
  return token === '' ? text : text.replaceAll(token, '<token>');
}

function plainText(answer: Answer): string {
  const { headers, body } = answer;
  const type = headers['content-type'];
  // Go tells a client that speaks plain HTTP to a TLS port with no header at all.
  if ((type !== undefined && !type.startsWith('text/plain')) || body.byteLength > LONGEST_TEXT) return '';
  return withoutToken(body.toString('utf8'), answer).replace(/\s+/g, ' ').trim();
}

/** What no Consul answers to what it is asked here. */
const NOT_THERE = [404, 405, 408];

function meaningOf(status: number, text: string): { code: SyncErrorCode; hint: string } {
  if (status >= 300 && status < 400)
    return { code: 'bad-response', hint: 'a redirect, which is not followed' };
  if (status === 401 || status === 403 || DENIED.test(text)) {
    return { code: 'permission-denied', hint: 'check the token and its policies' };
  }
  if (/HTTP request to an HTTPS server/.test(text)) return { code: 'insecure', hint: 'that port speaks TLS' };
  if (/Invalid Session TTL/i.test(text)) {
    return { code: 'invalid-option', hint: 'set "sessionTtlMin" to the servers\' session_ttl_min' };
  }
  if (/^Missing check /i.test(text)) return { code: 'invalid-option', hint: 'look at the option "checks"' };
  if (/No path to datacenter/i.test(text)) {
    return { code: 'invalid-option', hint: 'look at the option "datacenter"' };
  }
  if (/invalid key name/i.test(text))
    return { code: 'rejected', hint: 'this version takes no such key in a path' };
  if (status === 413) return { code: 'value-too-large', hint: 'the limit is its txn_max_req_len' };
  // From something in between, which says nothing about the server: it is waited out, as a 503 is.
  if (NOT_THERE.includes(status))
    return { code: 'unavailable', hint: 'is that Consul, or what stands before it?' };
  if (status === 429 || status >= 500) return { code: 'unavailable', hint: 'is there a leader?' };
  return { code: status >= 400 ? 'rejected' : 'bad-response', hint: '' };
}
