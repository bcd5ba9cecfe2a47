import { isError } from '../../async/realms.ts';
import { isSyncError, type RequestOutcome, SyncError, type SyncErrorCode } from '../../contract/errors.ts';

/** What a gRPC call fails with. `details` is the server's text, or that of the client for what it found itself. */
export interface Failure {
  readonly code: number;
  readonly details: string;
}

/** A failure that is not yet, or need not become, a `SyncError`. */
export class CallFailure extends Error implements Failure {
  readonly code: number;
  readonly details: string;

  constructor({ code, details }: Failure) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const Status = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** The failure of a call, whatever the client made of it: its typed errors keep the status in the message only. */
export function failureOf(error: unknown): Failure {
  if (isError(error)) {
    if (CLOSED.test(error.message)) return { code: Status.unavailable, details: error.message };
    const { code, details } = error as Partial<Failure>;
    if (typeof code === 'number' && typeof details === 'string') return { code, details };
    const [, status, text] = /^(\d+) [A-Z_]+: (.*)$/s.exec(error.message) ?? [];
    return { code: status === undefined ? Status.unknown : Number(status), details: text ?? error.message };
  }
  return { code: Status.unknown, details: String(error) };
}

/** The request cannot have reached a server: no connection was there to carry it. */
export function wasNeverSent({ code, details }: Failure): boolean {
  return code === Status.unavailable && NOT_SENT.test(details);
}

/**
 * The server refused the token before it looked at the request. Tokens expire (`--auth-token-ttl`), are forgotten
 * in a restart, and are outdated by every change to users and roles.
 */
export function isTokenRefused({ code, details }: Failure): boolean {
  return (code === Status.unauthenticated && isEtcdsWord(details)) || TOKEN_REFUSED.test(details);
}

export function isAuthDisabled({ details }: Failure): boolean {
  return details.includes('authentication is not enabled');
}

/** A login, or what was asked for, is refused to who asks. */
export function isDenied({ code, details }: Failure): boolean {
  if (DENIED.test(details)) return true;
  return (code === Status.permissionDenied || code === Status.unauthenticated) && isEtcdsWord(details);
}

/** It says something about the whole server, or the way to it, and nothing about the request. */
export function isOfServer({ code, details }: Failure): boolean {
  return code === Status.unavailable || FROM_HTTP.test(details);
}

/** Nothing was answered, by a server or by something between: neither yes nor no. */
export function isUnanswered({ code, details }: Failure): boolean {
  return code === Status.unavailable && !isEtcdsWord(details) && !FROM_HTTP.test(details);
}

/** What came in came from etcd. */
export function isHeard(failure: Failure): boolean {
  return !isOfServer(failure) && failure.code !== Status.cancelled;
}

/** Of a watch, for which etcd gives a reason in words only. */
export function isAccessRefused(reason: string): boolean {
  return TOKEN_REFUSED.test(reason) || DENIED.test(reason);
}

export function isLeaseMissing({ code, details }: Failure): boolean {
  return code === Status.notFound && details.includes('requested lease not found');
}

/**
 * The server's own word that it did nothing of what was asked. Of all else, a status that something between us made up
 * included, it cannot be known.
 */
export function isRefusal({ code, details }: Failure): boolean {
  if (code === Status.unavailable || code === Status.deadlineExceeded || code === Status.cancelled)
    return false;
  // A proxy's 404 becomes this status as well.
  if (code === Status.unimplemented) return NOT_ETCD.test(details);
  return (isEtcdsWord(details) && !OVERLOADED.test(details)) || TOO_LARGE.test(details);
}

/** Of a request for several: one of them may be at fault, and each has to answer for itself. */
export function isOfOne(failure: Failure): boolean {
  if (ANSWER_TOO_LARGE.test(failure.details)) return true;
  return isRefusal(failure) && !isTokenRefused(failure);
}

/**
 * `address` says who was asked. The text is the server's or the client's own; neither repeats a credential.
 *
 * @param outcome where the caller knows better than the failure tells.
 */
export function syncErrorOf(failure: Failure, address: string, outcome = outcomeOf(failure)): SyncError {
  const { code, sentence } = describe(failure, address);
  return new SyncError(code, sentence, { cause: new Error(withoutSecret(failure.details)), outcome });
}

/** As `syncErrorOf`, of what was thrown or rejected. */
export function errorOf(error: unknown, address: string, outcome?: RequestOutcome): SyncError {
  return isSyncError(error) ? error : syncErrorOf(failureOf(error), address, outcome);
}

function isEtcdsWord(details: string): boolean {
  return details.startsWith('etcdserver: ');
}

/** The target of a client that is not ours may begin with a password. */
function withoutSecret(details: string): string {
  return details.replace(/( for target (?:dns:)?)\S*@/, '$1');
}

function outcomeOf(failure: Failure): RequestOutcome {
  return isRefusal(failure) || wasNeverSent(failure) ? 'refused' : 'unknown';
}

export function badResponse(address: string, what: string): SyncError {
  return new SyncError('bad-response', `what ${address} answered is not an answer of etcd: ${what}`);
}

const NOT_SENT =
  /^No connection established|^Name resolution failed|^Channel closed before call|channel has been shut down|client was already closed/i;
/** Texts of grpc-js and etcd3 for a client that somebody closed. */
const CLOSED = /channel has been shut down|client was already closed/i;
const TOKEN_REFUSED = /invalid auth token|revision (in header|of auth store) is old|user name is empty/;
const DENIED = /permission denied|invalid user ID or password|user name not found|user name is empty/;
/** Text of grpc-js for an answer beyond its limit. What was asked for may have been done. */
const ANSWER_TOO_LARGE = /^Received message larger than max/;
/**
 * What is said after a transaction that was applied when it took the last of the space (etcd looks at it afterwards, too), or
 * of a proposal that may still go on; and what has to do with the server, and nothing with who asked.
 */
const OVERLOADED = /database space exceeded|request cancell?ed|too many requests/;
const TOO_LARGE = /request is too large|received message larger than max/;
/** Text of a server of gRPC that is another one. */
const NOT_ETCD = /^unknown (service|method)/;
/** Text of grpc-js for an HTTP status in place of one of gRPC: that of a proxy or a load balancer. */
const FROM_HTTP = /^Received HTTP status code/;
/** Texts of OpenSSL and Node when a TLS handshake fails. */
const TLS =
  /certificate|altnames|wrong version number|before secure TLS connection|\bSSL\b|TLSV1|tlsv1|EPROTO|handshake failure/;

function describe(failure: Failure, address: string): { code: SyncErrorCode; sentence: string } {
  const { code, details } = failure;
  const text = reasonIn(withoutSecret(details));
  if (FROM_HTTP.test(details)) {
    return {
      code: code === Status.unavailable ? 'unavailable' : 'bad-response',
      sentence: `what came back from ${address} is not an answer of etcd (${text}): is there a proxy or a load balancer in between?`,
    };
  }
  if (code === Status.unavailable && TLS.test(details)) {
    return {
      code: 'insecure',
      sentence: `no TLS connection to etcd at ${address} (${text}): check the CA, the name in the certificate, and whether the port speaks TLS`,
    };
  }
  if (isDenied(failure)) {
    return {
      code: 'permission-denied',
      sentence: `etcd at ${address} refused the credentials or the access (${text}): check username, password and roles`,
    };
  }
  if (TOO_LARGE.test(details)) {
    return {
      code: 'value-too-large',
      sentence: `etcd at ${address} refused the request for its size (${text}): its limit is --max-request-bytes`,
    };
  }
  if (ANSWER_TOO_LARGE.test(details)) {
    return { code: 'bad-response', sentence: `etcd at ${address} answered more than is read (${text})` };
  }
  if (wasNeverSent(failure)) {
    return {
      code: 'unavailable',
      sentence: `etcd at ${address} was not reached (${text}): is it running, and is the address right?`,
    };
  }
  if (code === Status.unavailable || code === Status.deadlineExceeded || code === Status.cancelled) {
    return {
      code: 'unavailable',
      sentence: `etcd at ${address} did not answer (${text}): is there a leader, and is the network up?`,
    };
  }
  if (OVERLOADED.test(details)) {
    return {
      code: 'unavailable',
      sentence: `etcd at ${address} cannot do it now (${text}): look at its load, its space and its alarms`,
    };
  }
  return isRefusal(failure)
    ? { code: 'rejected', sentence: `etcd at ${address} refused the request (${text})` }
    : { code: 'bad-response', sentence: `what came back from ${address} is not an answer of etcd (${text})` };
}

/** On one line, without the addresses and file names that OpenSSL puts around it. */
function reasonIn(details: string): string {
  const [, last = details] = /Last error: (?:Error: )?(.*?)\. Resolution note:/s.exec(details) ?? [];
  const [, openSsl] = /error:[0-9A-F]+:SSL routines:[^:]*:([^:]+)/.exec(last) ?? [];
  const text = (openSsl ?? last).replace(/\s+/g, ' ').trim().slice(0, 300);
  return text === '' || text === 'null' ? 'no reason given' : text;
}
