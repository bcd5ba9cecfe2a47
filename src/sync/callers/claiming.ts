import { SettleOnce } from '../../async/settle-once.ts';
import type { Mutation } from '../../contract/backend.ts';
import { isSyncError, SyncError } from '../../contract/errors.ts';
import { quoteKey } from '../../contract/quote.ts';
import { wasRefused } from '../../contract/retry.ts';
import { ClaimRace, type ClaimTerms } from '../contender/claim-race.ts';
import { Contender, type ContenderListener } from '../contender/contender.ts';
import type { FarewellEnd } from '../contender/farewell.ts';
import type { LossReason, Notice } from '../contender/lock-machine.ts';
import type { CallOptions } from './call-options.ts';
import type { CallersHost } from './callers-host.ts';
import { Claim } from './claim.ts';
import { PendingCall } from './pending-call.ts';
import type { Proofs } from './proofs.ts';
import type { OpenCall } from './scoped.ts';
import type { QueueEvents, Told } from './ticket.ts';

export interface ClaimingHost {
  readonly callers: CallersHost;
  readonly proofs: Proofs;
  readonly events: QueueEvents;
  readonly openCalls: Set<OpenCall>;
  /** Checked, and as the store names it. */
  farewell(then: Parameters<Claim['release']>[0]): readonly Mutation[];
  /** Written together with a claim's record, or with its removal. */
  written(then: readonly Mutation[]): void;
}

/** What a claim is asked for with: checked, and as the store names it. */
export interface Asked extends CallOptions {
  readonly value: Uint8Array;
  readonly terms: ClaimTerms;
}

/** The one claim of this process to one key: asked for, held, or given back. Callers do not wait for one another. */
export class Claiming implements ContenderListener, OpenCall {
  readonly crowded = false;
  readonly key: string;
  trouble: unknown;
  readonly #host: ClaimingHost;
  readonly #race = new ClaimRace();
  readonly #contender: Contender;
  readonly #onIdle: () => void;
  #value: Uint8Array = new Uint8Array();
  #call: PendingCall<Claim | undefined> | undefined;
  #claim: Claim | undefined;
  /** Whose record may stand, with the TTL of its session. */
  #tenant: { readonly claim: Claim; readonly ttl: number } | undefined;
  #leaving: SettleOnce<FarewellEnd> | undefined;

  constructor(host: ClaimingHost, key: string, onIdle: () => void) {
    const { callers } = host;
    this.#host = host;
    this.key = key;
    this.#onIdle = onIdle;
    this.#contender = new Contender(callers, key, callers.keyspace.stored(key), this, this.#race);
  }

  get aim(): string {
    return `the claim ${quoteKey(this.key)} was not answered`;
  }

  /** Whether a claim stands, is asked for or is being given back. */
  get busy(): boolean {
    return this.#call !== undefined || this.#contender.state.name !== 'idle';
  }

  ask({ value, terms, ...options }: Asked): Promise<Claim | undefined> {
    const { callers, openCalls } = this.#host;
    this.#race.begin(terms, !this.#contender.disposable);
    this.#value = value;
    this.trouble = callers.keeper.trouble;
    const call = new PendingCall<Claim | undefined>(callers.clock, options, this, () => this.#giveUp());
    this.#call = call;
    openCalls.add(this);
    callers.notifications.during(() => this.#contender.claim());
    return call.promise;
  }

  refused(error: SyncError): void {
    const call = this.#take();
    call?.reject(error);
    if (call !== undefined) this.#contender.release();
  }

  /** Nothing of it is held any more, or wanted; resolves when nothing is left at the store. */
  async drain(): Promise<void> {
    if (this.#claim !== undefined) await this.#giveBack(this.#claim);
    // What is being given back already goes in its own order: first its writes, and then the record with its farewell.
    if (this.#leaving === undefined && this.#contender.state.name !== 'idle') this.#giveUp();
    await this.#leaving?.promise;
  }

  stop(): void {
    this.#host.callers.notifications.during(() => {
      this.#end('stopped');
      this.#contender.stop();
    });
  }

  value(): Uint8Array {
    return this.#value;
  }

  notice(notice: Notice): void {
    switch (notice.tell) {
      case 'granted':
        this.#grant(notice);
        return;
      case 'occupied':
        if (this.#race.unsure) this.#take()?.reject(this.#unknown());
        else this.#take()?.resolve(undefined);
        this.#contender.release();
        return;
      case 'refused':
        this.#refused(notice.error);
        return;
      case 'failed':
        this.trouble = notice.error;
        if (notice.source === 'lock') this.#host.events.trouble(notice.error, this.key);
        return;
      case 'lost':
        this.#lost(notice.reason);
        return;
      case 'reconfirmed':
        this.#reconfirmed();
        return;
      case 'removed':
        this.#host.proofs.removed(notice.holding);
        return;
      case 'released':
        this.#endTenancy();
        this.#leaving?.resolve(this.#race.tellFarewell());
        this.#leaving = undefined;
        if (this.#contender.disposable && this.#call === undefined) this.#onIdle();
        return;
      case 'moved':
      case 'doubted':
    }
  }

  #take(): PendingCall<Claim | undefined> | undefined {
    const call = this.#call;
    this.#call = undefined;
    this.#host.openCalls.delete(this);
    return call;
  }

  #giveUp(): void {
    this.#take();
    this.#leaving ??= new SettleOnce();
    this.#host.callers.notifications.during(() => this.#contender.release());
  }

  #refused(error: SyncError): void {
    // The record that it holds goes on being looked at.
    if (this.#call === undefined) return;
    // That this request was refused says nothing about the one before it.
    this.refused(this.#race.unsure && wasRefused(error) ? this.#unknown(error) : error);
  }

  #unknown(cause?: SyncError): SyncError {
    const what = `what was to be written with the claim ${quoteKey(this.key)}, which was not obtained`;
    return new SyncError('unavailable', `nobody knows whether ${what}, was written: look at the store`, {
      cause,
    });
  }

  #grant({ session, holding }: Told<'granted'>): void {
    const call = this.#take();
    if (call === undefined) {
      this.#contender.release();
      return;
    }
    const { callers, proofs, events, written } = this.#host;
    written(this.#race.terms.then);
    const read = callers.keyspace.told(this.#race.seen);
    const claim = new Claim(this.key, session, holding, read, (given, options) =>
      this.#giveBack(given, options),
    );
    this.#claim = claim;
    this.#tenant = { claim, ttl: session.ttl };
    proofs.granted(claim);
    events.notice({ tell: 'granted', grant: claim });
    call.resolve(claim);
  }

  #reconfirmed(): void {
    const claim = this.#claim;
    if (claim !== undefined) this.#host.callers.notifications.post(() => claim.reconfirmed());
  }

  #lost(reason: LossReason): void {
    const claim = this.#end(reason);
    this.#endTenancy();
    if (claim !== undefined)
      this.#host.events.notice({ tell: 'lost', reason, grant: claim, heard: claim.observed });
    this.#contender.release();
  }

  #end(why: LossReason): Claim | undefined {
    const claim = this.#claim;
    if (claim === undefined) return undefined;
    this.#claim = undefined;
    claim.end(why);
    this.#host.callers.notifications.postUrgent(() => claim.announce());
    return claim;
  }

  #endTenancy(): void {
    if (this.#tenant !== undefined) this.#host.proofs.ended(this.#tenant.claim, this.#tenant.ttl);
    this.#tenant = undefined;
  }

  async #giveBack(claim: Claim, options: Parameters<Claim['release']>[0] = {}): Promise<void> {
    // Refused before anything has ended.
    const farewell = this.#host.farewell(options);
    if (this.#claim !== claim) {
      if (farewell.length > 0) throw over(this.key);
      // Given back before: there may be something to wait for. After a loss there is nothing.
      if (claim.ended === 'released' && this.#tenant?.claim === claim) await this.#leaving?.promise;
      return;
    }
    const { notifications } = this.#host.callers;
    const leaving = new SettleOnce<FarewellEnd>();
    this.#leaving = leaving;
    this.#claim = undefined;
    const writes = claim.pendingWrites;
    notifications.during(() => {
      claim.end('released', options.reason);
      if (claim.observed) notifications.post(() => claim.announce());
      this.#host.events.notice({ tell: 'released', grant: claim });
    });
    // The grant's own writes must reach the store before the record goes.
    if (writes !== undefined) await writes;
    // Lost meanwhile, nothing of it is left.
    if (!leaving.settled) {
      this.#race.partWith(farewell);
      notifications.during(() => this.#contender.release());
    }
    const parted = await leaving.promise;
    if (farewell.length === 0) return;
    if (parted === 'written') this.#host.written(farewell);
    else throw this.#unwritten(parted);
  }

  #unwritten(parted: Exclude<FarewellEnd, 'written'>): SyncError {
    if (parted === 'lost') return over(this.key);
    if (isSyncError(parted)) return parted;
    return new SyncError(
      'unavailable',
      `nobody knows whether what was to be written with the release of ${quoteKey(this.key)} was written: look at the store`,
    );
  }
}

function over(key: string): SyncError {
  return new SyncError('lost', `the claim ${quoteKey(key)} was over, and nothing was written`, {
    outcome: 'refused',
  });
}
