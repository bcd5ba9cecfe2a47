/** What may never happen, with when and to whom. */
export interface Violation {
  readonly rule: string;
  readonly at: number;
  readonly detail: string;
}

export interface Believer {
  readonly process: number;
  readonly token: bigint;
}

/**
 * What was seen of one key in one run. Fed after every event of the simulation: belief can only begin at an event, so
 * nothing can slip between two looks.
 */
export class KeyHistory {
  readonly violations: Violation[] = [];
  readonly #key: string;
  /** Whether an operator interfered: then two may believe for a moment, and only the tokens decide. */
  readonly #operated: () => boolean;
  readonly #byProcess = new Map<number, bigint>();
  readonly #tokens = new Set<bigint>();
  #largest = 0n;

  constructor(key: string, operated: () => boolean) {
    this.#key = key;
    this.#operated = operated;
  }

  believers(at: number, believers: readonly Believer[]): void {
    if (believers.length > 1 && !this.#operated()) {
      const who = believers.map(({ process, token }) => `${process} (${token})`).join(' and ');
      this.#violate('two believe that they hold', at, who);
    }
  }

  granted(at: number, { process, token }: Believer): void {
    const earlier = this.#byProcess.get(process) ?? 0n;
    if (token <= earlier)
      this.#violate('a token of one process did not rise', at, `${process}: ${earlier}, ${token}`);
    if (this.#tokens.has(token)) this.#violate('a token was given twice', at, `${process}: ${token}`);
    if (token < this.#largest && !this.#operated()) {
      this.#violate('a token fell', at, `${process}: ${token} after ${this.#largest}`);
    }
    this.#byProcess.set(process, token);
    this.#tokens.add(token);
    if (token > this.#largest) this.#largest = token;
  }

  /** A guarded write that the store has accepted: none may be after another grant was made, whatever operators do. */
  accepted(at: number, { process, token }: Believer): void {
    if (token < this.#largest) {
      this.#violate('a stale write was accepted', at, `${process}: ${token} after ${this.#largest}`);
    }
  }

  #violate(rule: string, at: number, detail: string): void {
    this.violations.push({ rule, at, detail: `${this.#key}: ${detail}` });
  }
}
