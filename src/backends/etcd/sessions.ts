import type { SessionOptions } from '../../contract/backend.ts';
import { badResponse, CallFailure, isLeaseMissing } from './errors.ts';
import { KeepAlive } from './keep-alive.ts';
import { leaseOf, sessionOf } from './lease.ts';
import type { Transport } from './transport.ts';
import type { LeaseResponse } from './wire.ts';

/** A session is a lease. */
export class Sessions {
  readonly #transport: Transport;
  readonly #keepAlive: KeepAlive;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.#keepAlive = new KeepAlive(transport);
  }

  async open({ ttl }: SessionOptions, signal: AbortSignal): Promise<{ id: string; ttl: number }> {
    const request = { TTL: String(Math.ceil(ttl / 1_000)), ID: '0' };
    const { ID, TTL } = await this.#transport.call<LeaseResponse>(
      { service: 'Lease', method: 'leaseGrant', request, repeatable: false },
      signal,
    );
    if (ID === '0' || !(Number(TTL) > 0)) throw badResponse('the server', 'a lease without id or TTL');
    return { id: sessionOf(ID), ttl: Number(TTL) * 1_000 };
  }

  renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    return this.#keepAlive.renew(String(leaseOf(id)), signal);
  }

  async close(id: string, signal: AbortSignal): Promise<void> {
    this.#keepAlive.rest();
    const request = { ID: String(leaseOf(id)) };
    try {
      await this.#transport.call(
        { service: 'Lease', method: 'leaseRevoke', request, repeatable: true, expects: isLeaseMissing },
        signal,
      );
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error;
    }
  }

  end(): void {
    this.#keepAlive.close();
  }
}
