import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type Invalid, type Names, refuseUnknown } from '../../contract/options.ts';

/** Whom we trust, and who we are. */
export interface Tls {
  /** PEM of the authority that signed the servers' certificates. Default: those that Node trusts. */
  readonly ca?: Buffer | string;
  /** PEM of a client certificate, with `key`. */
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
}

export const TLS: Names<Tls> = { ca: true, cert: true, key: true };

/** Codes of OpenSSL and Node for what goes wrong with TLS. */
const FAULT =
  /^(?:EPROTO|ERR_TLS_|ERR_SSL_|ERR_OSSL|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Whether an error's code says that there was no TLS as it was asked for, or that it broke. */
export function isTlsFault(code: unknown): boolean {
  return typeof code === 'string' && FAULT.test(code);
}

/** Throws what `invalid` makes, for the option `tls`. */
export function checkTls<T extends Tls>(tls: T, names: Names<T>, invalid: Invalid): void {
  refuseUnknown(tls, names, invalid, { where: 'tls' });
  const { ca, cert, key } = tls;
  if ((cert === undefined) !== (key === undefined)) throw invalid('tls', 'needs "cert" and "key" together');
  try {
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ ca, cert, key });
  } catch {
    throw invalid('tls', 'has a "ca", "cert" or "key" that is not PEM, or that do not belong together');
  }
}
