import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type Invalid, type Names, refuseUnknown } from '../../contract/options.ts';

export interface ConsulTls {
  /** PEM of the authority that signed the agents' certificates. Default: those that Node trusts. */
  readonly ca?: Buffer | string;
  /** PEM of a client certificate, with `key`. */
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
  /** The name to expect in the certificate, where it is not the host's. */
  readonly servername?: string;
  /** `false` accepts any certificate. For experiments only: whoever is in the middle then reads the token. */
  readonly rejectUnauthorized?: boolean;
}

export const TLS: Names<ConsulTls> = {
  ca: true,
  cert: true,
  key: true,
  servername: true,
  rejectUnauthorized: true,
};

/** Throws what `invalid` makes. */
export function checkTls(tls: ConsulTls, invalid: Invalid): void {
  refuseUnknown(tls, TLS, invalid, { where: 'tls' });
  const { ca, cert, key, servername, rejectUnauthorized } = tls;
  if ((cert === undefined) !== (key === undefined)) throw invalid('tls', 'needs "cert" and "key" together');
  if (servername !== undefined && (typeof servername !== 'string' || servername === '')) {
    throw invalid('tls', 'has a "servername" that is no name');
  }
  if (rejectUnauthorized !== undefined && typeof rejectUnauthorized !== 'boolean') {
    throw invalid('tls', 'has a "rejectUnauthorized" that is neither true nor false');
  }
  try {
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ ca, cert, key });
  } catch {
    throw invalid('tls', 'has a "ca", "cert" or "key" that is not PEM, or that do not belong together');
  }
}
