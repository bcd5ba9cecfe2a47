import { monotonic } from '../async/platform.ts';
import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkChoice, checkFunction, checkNumber, invalidOf, shown } from './checks.ts';

export interface LockInvariantsOptions {
  /** Milliseconds, of one clock for all clients. Default: `performance.now`. */
  readonly now?: () => number;
  /**
   * Whether somebody takes locks away by hand: destroys sessions, deletes or overwrites records. Then two may believe for
   * a moment and grants may overlap, while the tokens of one client rise and stale writes are refused nevertheless.
   * Default `false`.
   */
  readonly operated?: boolean;
}

/** Who holds the lock, or held it, and by which fencing token. */
export interface LockHolder {
  readonly client: string;
  readonly token: bigint;
}

/** What may never happen, with when it was seen and to whom. */
export interface LockViolation {
  readonly rule:
    | 'two believe that they hold'
    | 'a token was given twice'
    | 'a token fell'
    | 'a token of one client did not rise'
    | 'handed on after it was gone'
    | 'a stale write was accepted';
  /** Milliseconds, of the clock of the options. */
  readonly at: number;
  readonly detail: string;
}

const OPTIONS: Names<LockInvariantsOptions> = { now: true, operated: true };

const invalid = invalidOf('LockInvariants');

/**
 * What must be so of one lock at every moment, judged as it is told: at most one believes that he holds, tokens rise, no
 * stale write is accepted, and what is gone is not handed on. For a simulation or a test that sees all clients at one
 * instant; where each client is seen by itself, and only calls and answers are known, take `LockHistory`.
 *
 * Everything must be told in the order in which it happens.
 */
export class LockInvariants {
  readonly #now: () => number;
  readonly #operated: boolean;
  readonly #violations: LockViolation[] = [];
  readonly #grants: (LockHolder & { readonly at: number })[] = [];
  readonly #latest = new Map<string, bigint>();
  readonly #tokens = new Set<bigint>();
  #largest = 0n;
  #restored = false;

  /** Throws a `SyncError` `invalid-option` that names what is wrong. */
  constructor(options: LockInvariantsOptions = {}) {
    refuseUnknown(options, OPTIONS, invalid);
    const { now = monotonic, operated = false } = options;
    checkFunction(invalid, 'now', now);
    checkChoice(invalid, 'operated', operated, [true, false]);
    this.#now = now;
    this.#operated = operated;
  }

  /** What was seen that may not be, the earliest first. */
  get violations(): readonly LockViolation[] {
    return this.#violations;
  }

  /** The store went back to an earlier copy, with its revisions: from now on each client's own tokens are all that rises. */
  restored(): void {
    this.#restored = true;
  }

  /** All clients that say at this instant that they hold (`grant.held`). Belief can only begin at an event: look after each. */
  believed(holders: readonly LockHolder[]): void {
    if (holders.length < 2 || this.#disturbed) return;
    const who = holders.map(({ client, token }) => `${client} (${token})`).join(' and ');
    this.#violate('two believe that they hold', who);
  }

  /** Somebody has a grant in hands, which no other client and no earlier call of the same one had. */
  granted({ client, token }: LockHolder): void {
    checkToken(token);
    const before = this.#latest.get(client) ?? 0n;
    if (token <= before) {
      this.#violate('a token of one client did not rise', `${client}: ${before}, ${token}`);
    }
    // Of a store that went back, each client knows only what it was granted itself.
    if (this.#tokens.has(token) && !this.#restored) {
      this.#violate('a token was given twice', `${client}: ${token}`);
    }
    if (token < this.#largest && !this.#disturbed) {
      this.#violate('a token fell', `${client}: ${token} after ${this.#largest}`);
    }
    this.#latest.set(client, token);
    this.#tokens.add(token);
    this.#grants.push({ client, token, at: this.#now() });
    if (token > this.#largest) this.#largest = token;
  }

  /**
   * One client's caller handed the lock on to its next one, without asking the store. To be told before `granted`.
   *
   * @param told the instant before which the client must have heard that its record is gone: if another client was
   * granted the lock before, there was nothing left to hand on.
   */
  handedOn({ client, token }: LockHolder, told: number): void {
    checkToken(token);
    checkNumber(invalid, 'told', told);
    const other = this.#grants.find(
      (grant) => grant.client !== client && grant.token > token && grant.at < told,
    );
    if (other === undefined) return;
    const detail = `${client}: ${token}, while ${other.client} was granted ${other.token} at ${other.at}`;
    this.#violate('handed on after it was gone', detail);
  }

  /** A guarded write that the store has accepted: never after another grant was made, whatever operators do. */
  accepted({ client, token }: LockHolder): void {
    checkToken(token);
    if (token >= this.#largest || this.#restored) return;
    this.#violate('a stale write was accepted', `${client}: ${token} after ${this.#largest}`);
  }

  /** Then two may believe for a moment, and only the tokens decide. */
  get #disturbed(): boolean {
    return this.#operated || this.#restored;
  }

  #violate(rule: LockViolation['rule'], detail: string): void {
    this.#violations.push({ rule, at: this.#now(), detail });
  }
}

function checkToken(token: unknown): void {
  if (typeof token !== 'bigint') throw invalid('token', `must be a bigint, not ${shown(token)}`);
}
