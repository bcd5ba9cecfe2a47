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
