import type { Ticket } from './ticket.ts';

interface Departure {
  readonly ticket: Ticket | undefined;
  readonly impatient: boolean;
  readonly resolve: () => void;
}

/** Callers that have left, and wait until nothing of what they had is left at the store. */
export class Departures {
  readonly #waiting: Departure[] = [];

  /** @param impatient resolve at the next `hurry`. */
  add(ticket: Ticket | undefined, impatient: boolean): Promise<void> {
    const left = new Promise<void>((resolve) => this.#waiting.push({ ticket, impatient, resolve }));
    if (ticket !== undefined) ticket.left = left;
    return left;
  }

  /** Who is impatient waits no longer, and is not kept: in an outage there may be one more with each try. */
  hurry(): void {
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.impatient) end(waiting);
      else this.#waiting.push(waiting);
    }
  }

  nothingLeft(): void {
    if (this.#waiting.length === 0) return;
    for (const waiting of this.#waiting.splice(0)) end(waiting);
  }
}

function end({ ticket, resolve }: Departure): void {
  // Not kept: a promise keeps the asynchronous context of who made it.
  if (ticket !== undefined) ticket.left = undefined;
  resolve();
}
