import { randomUUID } from 'node:crypto';

/** Milliseconds until an attempt is given up; more than a lock can be kept by a replica that died. */
const PATIENCE = 60_000;

/** Customers who pay orders over and over, at whatever replica answers, and send again what had no answer. */
export class Customers implements AsyncDisposable {
  /** What was acknowledged, by order and payment. */
  readonly acknowledged = new Map<string, Map<string, number>>();
  readonly failures: string[] = [];
  /** The wall clock at each payment that was acknowledged. */
  readonly #served: number[] = [];
  #stopping = false;
  readonly #urls: () => readonly string[];
  readonly #ended: Promise<unknown>;

  /** @param urls where a replica answers, at present. */
  constructor(count: number, urls: () => readonly string[]) {
    this.#urls = urls;
    const orders = Array.from({ length: count }, (_, number) => `order-${number}`);
    for (const order of orders) this.acknowledged.set(order, new Map());
    // Each has an order in common with the next.
    this.#ended = Promise.all(
      orders.map((own, number) => this.#pay([own, orders[(number + 1) % count] as string])),
    );
  }

  /** How many payments were acknowledged so far. */
  get served(): number {
    return this.#served.length;
  }

  servedBetween(from: number, to: number): number {
    return this.#served.filter((at) => at > from && at < to).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  async #pay(orders: readonly string[]): Promise<void> {
    for (let count = 0; !this.#stopping; count++) {
      const order = orders[count % orders.length] as string;
      const payment = randomUUID();
      const amount = 1 + (count % 9);
      await this.#send(order, payment, amount, count);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #send(order: string, payment: string, amount: number, first: number): Promise<void> {
    const bound = performance.now() + PATIENCE;
    for (let attempt = first; performance.now() < bound; attempt++) {
      const urls = this.#urls();
      const status = await post(`${urls[attempt % urls.length]}/orders/${order}/payments`, {
        payment,
        amount,
      });
      if (status === 200) {
        this.#served.push(Date.now());
        this.acknowledged.get(order)?.set(payment, amount);
        return;
      }
      // Nobody there, or to be tried again.
      if (status !== undefined && status !== 503) this.failures.push(`${order}: ${status}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.failures.push(`${order}: not served within ${PATIENCE} ms`);
  }
}

/** The status, or `undefined` if there was no answer. */
async function post(url: string, body: unknown): Promise<number | undefined> {
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    await response.text();
    return response.status;
  } catch {
    return undefined;
  }
}
