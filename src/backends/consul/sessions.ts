import type { SessionOptions } from '../../contract/backend.ts';
import { SyncError } from '../../contract/errors.ts';
import type { Settings } from './options.ts';
import type { Transport } from './transport.ts';

/** Milliseconds; Consul's own limits. */
export const LONGEST_TTL = 86_400_000;
export const LONGEST_LOCK_DELAY = 60_000;

const SESSION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What Consul could have given out. Anything else does not get into a path. */
export function isSessionId(id: string): boolean {
  return SESSION_ID.test(id);
}

/** Sessions at one agent. Creating and destroying one is a write to the log, renewing it is not. */
export class Sessions {
  readonly #transport: Transport;
  readonly #settings: Settings;
  readonly #query: string;

  constructor(transport: Transport, settings: Settings) {
    this.#transport = transport;
    this.#settings = settings;
    const { datacenter } = settings;
    this.#query = datacenter === undefined ? '' : `?dc=${encodeURIComponent(datacenter)}`;
  }

  /** Consul keeps the TTL it is asked for, and ends the session between one and two of them after the last renewal. */
  async open(
    { name, ttl, lockDelay }: SessionOptions,
    signal: AbortSignal,
  ): Promise<{ id: string; ttl: number }> {
    const { checks } = this.#settings;
    const granted = Math.ceil(ttl);
    const body = JSON.stringify({
      Name: name,
      TTL: `${granted}ms`,
      // A number 0 would be taken for "not given", which means 15 seconds.
      LockDelay: lockDelay === 0 ? '0s' : `${Math.ceil(lockDelay)}ms`,
      Behavior: 'delete',
      NodeChecks: checks,
    });
    const call = {
      lane: 'sessions',
      method: 'PUT',
      path: `/session/create${this.#query}`,
      body,
      signal,
    } as const;
    const answer = await this.#transport.call(call);
    const id = answer.status === 200 ? idIn(answer.body) : undefined;
    if (id !== undefined) return { id, ttl: granted };
    if (answer.status !== 200) throw this.#transport.refuse(answer);
    throw new SyncError(
      'bad-response',
      `what ${this.#transport.address} answered is no session: is that Consul?`,
    );
  }

  async renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    if (!isSessionId(id)) return 'gone';
    const path = `/session/renew/${id}${this.#query}`;
    const answer = await this.#transport.call({ lane: 'sessions', method: 'PUT', path, signal });
    if (answer.status === 200) {
      // The answer repeats the session. An empty page with status 200 is no proof that it lives.
      if (idIn(answer.body) === id) return 'renewed';
      throw new SyncError(
        'bad-response',
        `what ${this.#transport.address} answered is no renewal: is that Consul?`,
      );
    }
    // A 404 for the path itself, from something that is not Consul, must not end a session.
    if (answer.status === 404 && answer.body.includes(id)) return 'gone';
    throw this.#transport.refuse(answer);
  }

  async close(id: string, signal: AbortSignal): Promise<void> {
    if (!isSessionId(id)) return;
    const path = `/session/destroy/${id}${this.#query}`;
    const answer = await this.#transport.call({ lane: 'sessions', method: 'PUT', path, signal });
    if (answer.status !== 200) throw this.#transport.refuse(answer);
    if (answer.body.toString('utf8').trim() === 'true') return;
    throw new SyncError(
      'bad-response',
      `what ${this.#transport.address} answered is not about a session: is that Consul?`,
    );
  }
}

function idIn(body: Buffer): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    const { ID } = (Array.isArray(parsed) ? parsed[0] : parsed) as { readonly ID?: unknown };
    return typeof ID === 'string' && isSessionId(ID) ? ID : undefined;
  } catch {
    return undefined;
  }
}
