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

/** What somebody does to the store by hand. */
export interface Interference {
  readonly mayOperate: boolean;
  readonly mayTake: boolean;
  /** From an earlier copy, with its revisions. */
  readonly restored: boolean;
}

/**
 * What was seen of one key in one run. Fed after every event of the simulation: belief can only begin at an event, so
 * nothing can slip between two looks.
 */
export class KeyHistory {
  readonly violations: Violation[] = [];
  readonly #key: string;
  readonly #world: Interference;
  readonly #grants: (Believer & { readonly at: number })[] = [];
  readonly #byProcess = new Map<number, bigint>();
  readonly #tokens = new Set<bigint>();
  #largest = 0n;

  constructor(key: string, world: Interference) {
    this.#key = key;
    this.#world = world;
  }

  /** Then two may believe for a moment, and only the tokens decide. */
  get #operated(): boolean {
    return this.#world.mayOperate || this.#world.restored;
  }

  believers(at: number, believers: readonly Believer[]): void {
    if (believers.length > 1 && !this.#operated) {
      const who = believers.map(({ process, token }) => `${process} (${token})`).join(' and ');
      this.#violate('two believe that they hold', at, who);
    }
  }

  granted(at: number, { process, token }: Believer): void {
    const earlier = this.#byProcess.get(process) ?? 0n;
    if (token <= earlier)
      this.#violate('a token of one process did not rise', at, `${process}: ${earlier}, ${token}`);
    // Of a store that went back, each process knows only what it was granted itself.
    if (this.#tokens.has(token) && !this.#world.restored)
      this.#violate('a token was given twice', at, `${process}: ${token}`);
    if (token < this.#largest && !this.#operated) {
      this.#violate('a token fell', at, `${process}: ${token} after ${this.#largest}`);
    }
    this.#byProcess.set(process, token);
    this.#tokens.add(token);
    if (this.#world.mayTake) this.#grants.push({ process, token, at });
    if (token > this.#largest) this.#largest = token;
  }

  /**
   * A hand-off between callers of one process that does not go on a record that is gone: by then the holder was told, if
   * another process was granted the lock before `told`.
   */
  handedOn(at: number, { process, token }: Believer, told: number): void {
    const other = this.#grants.find(
      (grant) => grant.process !== process && grant.token > token && grant.at < told,
    );
    if (other === undefined) return;
    const detail = `${process}: ${token}, while ${other.process} was granted ${other.token} at ${other.at}`;
    this.#violate('handed on after it was gone', at, detail);
  }

  /** A guarded write that the store has accepted: none may be after another grant was made, whatever operators do. */
  accepted(at: number, { process, token }: Believer): void {
    if (token < this.#largest && !this.#world.restored) {
      this.#violate('a stale write was accepted', at, `${process}: ${token} after ${this.#largest}`);
    }
  }

  #violate(rule: string, at: number, detail: string): void {
    this.violations.push({ rule, at, detail: `${this.#key}: ${detail}` });
  }
}
