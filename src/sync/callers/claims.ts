import { TextEncoder } from 'node:util';
import { throwIfAborted } from '../../async/sleep.ts';
import type { Commit } from '../../contract/backend.ts';
import { refused } from '../../contract/errors.ts';
import type { Names } from '../../contract/options.ts';
import { checkNames, invalid } from '../../contract/options.ts';
import { quoteKey } from '../../contract/quote.ts';
import { checkValue } from '../../contract/validate.ts';
import { CALL, checkCallOptions } from './call-options.ts';
import type { Claim, ClaimOptions, ClaimReleaseOptions } from './claim.ts';
import { type Asked, Claiming, type ClaimingHost } from './claiming.ts';
import type { Grant } from './grant.ts';
import type { CheckedCommit, SyncCommit } from './guarded-commit.ts';
import type { Keyspace } from './keyspace.ts';

const CLAIM: Names<ClaimOptions> = { ...CALL, value: true, when: true, then: true, read: true };
const RELEASE: Names<ClaimReleaseOptions> = { then: true, reason: true };

const encoder = new TextEncoder();

export interface ClaimsHost extends Omit<ClaimingHost, 'farewell'> {
  /** Throws before any I/O. @param spare operations that the commit has besides. */
  check(commit: SyncCommit, spare: number): CheckedCommit;
  /** Why a key must be left alone, or nothing. */
  problem(key: string): string | undefined;
}

/** The claims of one manager by their keys, each until nothing of it is left. */
export class Claims {
  readonly #host: ClaimsHost;
  readonly #claiming = new Map<string, Claiming>();
  readonly #claimingHost: ClaimingHost;

  constructor(host: ClaimsHost) {
    this.#host = host;
    this.#claimingHost = { ...host, farewell: (options) => this.#farewell(options) };
  }

  has(key: string): boolean {
    return this.#claiming.has(key);
  }

  [Symbol.iterator](): Iterator<Claiming> {
    return this.#claiming.values();
  }

  async claim(key: string, options: ClaimOptions | undefined): Promise<Claim | undefined> {
    const asked = this.#check(key, options);
    const grants: Grant[] = [];
    for (const condition of asked.terms.when) {
      const grant = this.#host.proofs.of(condition);
      // The store may not know of it.
      if (grant === 'over') return undefined;
      if (grant !== undefined) grants.push(grant);
    }
    const claiming = this.#of(key);
    // Another one of this process has it, or is about to.
    if (claiming.busy) return undefined;
    const claimed = claiming.ask(asked);
    for (const grant of grants) grant.guard(claimed);
    return await claimed;
  }

  #check(key: string, options: ClaimOptions | undefined): Asked {
    const { callers } = this.#host;
    if (options !== undefined) checkNames(options, CLAIM);
    const { value = '', when = [], then = [], read, ...call } = options ?? {};
    checkCallOptions(call, CALL);
    const keyspace: Keyspace = callers.keyspace;
    keyspace.check(key);
    const problem = this.#claiming.has(key) ? undefined : this.#host.problem(key);
    if (problem !== undefined) throw refused('invalid-key', `key ${quoteKey(key)} ${problem}`);
    const terms = this.#checkCommit({ when, then, ...(read ? { read } : {}) });
    const own = keyspace.stored(key);
    if (terms.then.some(({ put, remove }) => (put ?? remove) === own)) {
      throw refused(
        'invalid-key',
        `key ${quoteKey(key)} is the claim's own record: it has \`value\` for that`,
      );
    }
    const bytes = typeof value === 'string' ? encoder.encode(value) : value;
    checkValue(key, bytes, callers.backend.traits.maxValueBytes, 'a string or a Uint8Array');
    throwIfAborted(call.signal);
    return {
      ...call,
      value: bytes,
      terms: { when: terms.when, then: terms.then, ...(terms.read ? { read: terms.read } : {}) },
    };
  }

  #farewell(options: ClaimReleaseOptions | undefined): Commit['then'] {
    if (options === undefined) return [];
    checkNames(options, RELEASE);
    const { then = [], reason } = options;
    if (reason !== undefined && !(reason instanceof Error)) throw invalid('reason', 'must be an Error');
    return this.#checkCommit({ then }).then;
  }

  /** With its own condition and its own mutation there are two more. */
  #checkCommit(commit: SyncCommit): Commit {
    const { owned, ...checked } = this.#host.check(commit, 2);
    if (owned === undefined) return checked;
    throw invalid('then', 'must not have what is `owned`: put that by a commit of its own');
  }

  #of(key: string): Claiming {
    const known = this.#claiming.get(key);
    if (known !== undefined) return known;
    const claiming: Claiming = new Claiming(this.#claimingHost, key, () => {
      if (this.#claiming.get(key) === claiming) this.#claiming.delete(key);
    });
    this.#claiming.set(key, claiming);
    return claiming;
  }
}
