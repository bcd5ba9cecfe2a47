/** A lease that nobody has: the server draws its ids, and this is the very last one. */
const NO_SUCH_LEASE = 2n ** 63n - 1n;
export const NO_LEASE = 0n;

/** Lower-case hex without leading zeros, which is how Go's `concurrency` package writes it into a key. */
export function sessionOf(lease: string): string {
  return BigInt(lease).toString(16);
}

let latest = { session: '', lease: NO_SUCH_LEASE };

/** What is not an id of ours names a lease that does not exist, so that the server gives its usual answer. */
export function leaseOf(session: string): bigint {
  // One manager has one session at a time, and asks for each of its commits.
  if (session !== latest.session) {
    const lease = /^[1-9a-f][0-9a-f]{0,15}$/.test(session)
      ? BigInt.asIntN(64, BigInt(`0x${session}`))
      : NO_SUCH_LEASE;
    latest = { session, lease };
  }
  return latest.lease;
}
