import type { SessionOptions } from '../../contract/backend.ts';
import { type Answer, badAnswer, NotRegisteredError, statusError } from './errors.ts';
import { invalid, type Settings } from './options.ts';
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

  constructor(transport: Transport, settings: Settings) {
    this.#transport = transport;
    this.#settings = settings;
  }

  /** Consul keeps the TTL it is asked for, and ends the session between one and two of them after the last renewal. */
  async open(
    { name, ttl, lockDelay }: SessionOptions,
    signal: AbortSignal,
  ): Promise<{ id: string; ttl: number }> {
    const { checks, node } = this.#settings;
    const granted = Math.ceil(ttl);
    const body = JSON.stringify({
      Name: name,
      Node: node,
      TTL: `${granted}ms`,
      // A number 0 would be taken for "not given", which means 15 seconds.
      LockDelay: lockDelay === 0 ? '0s' : `${Math.ceil(lockDelay)}ms`,
      Behavior: 'delete',
      NodeChecks: checks,
    });
    try {
      const answer = await this.#put('create', { body, isRepeatable: false }, signal);
      const id = answer.status === 200 ? idIn(answer.body) : undefined;
      if (id !== undefined) return { id, ttl: granted };
      throw answer.status === 200 ? badAnswer(answer, 'is no session') : statusError(answer);
    } catch (error) {
      if (error instanceof NotRegisteredError) await this.#checkDatacenter(signal);
      throw error;
    }
  }

  async renew(id: string, signal: AbortSignal): Promise<'renewed' | 'gone'> {
    if (!isSessionId(id)) return 'gone';
    const answer = await this.#put(`renew/${id}`, REPEATABLE, signal);
    if (answer.status === 200) {
      // The answer repeats the session. An empty page with status 200 is no proof that it lives.
      if (idIn(answer.body) === id) return 'renewed';
      throw badAnswer(answer, 'is no renewal');
    }
    // A 404 for the path itself, from something that is not Consul, must not end a session.
    if (answer.status === 404 && answer.body.includes(id)) return 'gone';
    throw statusError(answer);
  }

  async close(id: string, signal: AbortSignal): Promise<void> {
    if (!isSessionId(id)) return;
    const answer = await this.#put(`destroy/${id}`, REPEATABLE, signal);
    if (answer.status !== 200) throw statusError(answer);
    if (answer.body.toString('utf8').trim() === 'true') return;
    throw badAnswer(answer, 'is not about a session');
  }

  #put(
    what: string,
    how: { readonly body?: string; readonly isRepeatable: boolean },
    signal: AbortSignal,
  ): Promise<Answer> {
    return this.#transport.call(
      { lane: 'sessions', method: 'PUT', path: `/session/${what}`, ...how },
      signal,
    );
  }

  /**
   * An agent makes sessions of its own node, which the servers of another datacenter never know. Whoever may not ask it
   * where it is has to wait, as for one that is only starting. Throws `invalid-option`.
   */
  async #checkDatacenter(signal: AbortSignal): Promise<void> {
    const { node } = this.#settings;
    const { datacenter } = this.#transport;
    if (datacenter === undefined || node !== undefined) return;
    const call = { lane: 'sessions', method: 'GET', path: '/agent/self', isRepeatable: true } as const;
    const answer = await this.#transport.call(call, signal).catch(() => undefined);
    const own = answer && datacenterIn(answer.body);
    if (own === undefined || own === datacenter) return;
    const hint = `give "node", one that is registered in ${datacenter}, or an agent of it`;
    throw invalid(
      'datacenter',
      `is not that of the agent at ${answer?.address}, which is in ${own}: ${hint}`,
    );
  }
}

const REPEATABLE = { isRepeatable: true } as const;

function datacenterIn(body: Buffer): string | undefined {
  try {
    const { Config } = JSON.parse(body.toString('utf8')) as { Config?: { Datacenter?: unknown } };
    return typeof Config?.Datacenter === 'string' ? Config.Datacenter : undefined;
  } catch {
    return undefined;
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
