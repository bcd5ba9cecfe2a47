import {
  type Attributes,
  type Context,
  context,
  diag,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { monotonic } from '../async/platform.ts';
import { isError, messageOf } from '../async/realms.ts';
import {
  type AskingCall,
  type Grant,
  isSyncError,
  type ManagerTelemetry,
  type ObservedManager,
  type Outcome,
  type SyncEvent,
} from '../index.ts';
import type { Instruments } from './instruments.ts';

interface Hold {
  readonly token: bigint;
  readonly since: number;
  span?: Span;
}

/** Records what one manager does. */
export class Recorder implements ManagerTelemetry {
  readonly #instruments: Instruments;
  readonly #tracer: Tracer;
  readonly #group: (key: string) => string | undefined;
  readonly #manager: Attributes;
  /** By key: a manager holds each key once at a time. */
  readonly #holds = new Map<string, Hold>();

  constructor(
    { name, backend, events$, health }: ObservedManager,
    instruments: Instruments,
    tracer: Tracer,
    group: (key: string) => string | undefined,
  ) {
    this.#instruments = instruments;
    this.#tracer = tracer;
    this.#group = group;
    this.#manager = { 'holdfast.service': name, 'holdfast.backend': backend };
    const hide = instruments.show(health, this.#manager);
    events$.subscribe({
      next: (event) => this.#record(event),
      complete: () => {
        hide();
        for (const [key, { token }] of this.#holds) this.#ended(key, token, 'stopped');
      },
    });
  }

  asking(key: string, call: AskingCall): (outcome: Outcome) => void {
    const asked = monotonic();
    const caller = context.active();
    const attributes = { ...this.#manager, 'holdfast.lock.call': call };
    const span = this.#tracer.startSpan(
      'lock acquire',
      { attributes: { ...attributes, 'holdfast.lock.key': key } },
      caller,
    );
    return (outcome) => {
      const came = outcomeAttributes(outcome);
      span.setAttributes(came);
      if ('error' in outcome) fail(span, came['error.type'], outcome.error);
      else if (outcome.grant) span.setAttribute('holdfast.lock.token', String(outcome.grant.token));
      span.end();
      const measured = { ...attributes, ...came, ...this.#groupOf(key) };
      this.#instruments.acquireDuration.record((monotonic() - asked) / 1_000, measured, caller);
      if ('grant' in outcome && outcome.grant && isScoped(call)) this.#beginHold(outcome.grant, caller);
    };
  }

  holding(grant: Grant, work: () => Promise<unknown>): unknown {
    const hold = this.#holds.get(grant.key);
    if (hold?.span === undefined || hold.token !== grant.token) return work();
    return context.with(trace.setSpan(context.active(), hold.span), work);
  }

  #beginHold({ key, token }: Grant, caller: Context): void {
    const hold = this.#holds.get(key);
    // It may have been lost in the same turn.
    if (hold?.token !== token) return;
    const attributes = { ...this.#manager, 'holdfast.lock.key': key, 'holdfast.lock.token': String(token) };
    hold.span = this.#tracer.startSpan('lock hold', { attributes }, caller);
  }

  #record(event: SyncEvent): void {
    switch (event.type) {
      case 'lock-held':
        this.#holds.set(event.key, { token: event.token, since: monotonic() });
        return;
      case 'lock-lost': {
        const reason = { 'holdfast.lock.loss.reason': event.reason };
        this.#instruments.losses.add(1, { ...this.#manager, ...this.#groupOf(event.key), ...reason });
        this.#ended(event.key, event.token, event.reason);
        return;
      }
      case 'lock-held-long':
        this.#instruments.longHolds.add(1, { ...this.#manager, ...this.#groupOf(event.key) });
        return;
      case 'lock-released':
        this.#ended(event.key, event.token, 'released');
        return;
      case 'session-renewed':
        this.#instruments.renewDuration.record(event.took / 1_000, this.#manager);
        return;
      case 'trouble':
        this.#instruments.troubles.add(1, { ...this.#manager, 'error.type': errorType(event.error) });
        return;
      case 'session':
      case 'listener-failed':
    }
  }

  #ended(key: string, token: bigint, end: string): void {
    const hold = this.#holds.get(key);
    if (hold?.token !== token) return;
    this.#holds.delete(key);
    const how = { 'holdfast.lock.end': end };
    const seconds = (monotonic() - hold.since) / 1_000;
    this.#instruments.holdDuration.record(seconds, { ...this.#manager, ...this.#groupOf(key), ...how });
    hold.span?.setAttributes(how);
    if (end !== 'released' && end !== 'stopped' && hold.span) fail(hold.span, 'lost', `lost (${end})`);
    hold.span?.end();
  }

  #groupOf(key: string): Attributes {
    try {
      const group = this.#group(key);
      return group === undefined ? {} : { 'holdfast.lock.group': group };
    } catch (error) {
      diag.error('holdfast: option "group" failed', error);
      return {};
    }
  }
}

function isScoped(call: AskingCall): boolean {
  return call === 'acquire' || call === 'tryAcquire';
}

function outcomeAttributes(outcome: Outcome): { 'holdfast.lock.outcome': string; 'error.type'?: string } {
  if ('error' in outcome) {
    return { 'holdfast.lock.outcome': 'failed', 'error.type': errorType(outcome.error) };
  }
  return { 'holdfast.lock.outcome': outcome.grant === undefined ? 'occupied' : 'held' };
}

/** Few different ones: codes of this library, or the names of errors. */
function errorType(error: unknown): string {
  if (isSyncError(error)) return error.code;
  return isError(error) ? error.name : '_OTHER';
}

function fail(span: Span, type: string | undefined, error: unknown): void {
  if (type !== undefined) span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
}
