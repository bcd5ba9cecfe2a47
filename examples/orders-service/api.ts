import fastify, { type FastifyInstance } from 'fastify';
import { type Holder, type Leadership, SyncManager } from 'holdfast';
import { LEADERSHIP } from 'holdfast/di';
import { inject, injectable } from 'inversify';
import type { Logger } from 'pino';
import { LOG, SETTINGS } from './identifiers.ts';
import { isPassing, Orders } from './orders.ts';
import type { Settings } from './settings.ts';

const PAYMENT = {
  body: {
    type: 'object',
    required: ['payment', 'amount'],
    properties: { payment: { type: 'string', minLength: 1 }, amount: { type: 'integer', minimum: 1 } },
  },
  params: { type: 'object', properties: { id: { type: 'string', pattern: '^[\\w-]{1,64}$' } } },
};

interface Pay {
  Params: { id: string };
  Body: { payment: string; amount: number };
}

/** The service over HTTP. */
@injectable()
export class Api {
  readonly #app: FastifyInstance;
  readonly #settings: Settings;
  #leader: Holder | undefined;

  constructor(
    @inject(SyncManager) sync: SyncManager,
    @inject(LEADERSHIP) leadership: Leadership,
    @inject(Orders) orders: Orders,
    @inject(SETTINGS) settings: Settings,
    @inject(LOG) log: Logger,
  ) {
    this.#settings = settings;
    const app = fastify({ forceCloseConnections: 'idle' });
    this.#app = app;
    leadership.leader$.subscribe((leader) => {
      this.#leader = leader;
    });

    app.post<Pay>('/orders/:id/payments', { schema: PAYMENT }, ({ params, body }) =>
      orders.pay(params.id, body.payment, body.amount),
    );
    app.get<Pay>('/orders/:id', { schema: { params: PAYMENT.params } }, ({ params }) =>
      orders.paid(params.id),
    );
    app.get('/health', (_, reply) => {
      const health = sync.health();
      return reply.code(health.ready ? 200 : 503).send(health);
    });
    app.get('/leader', () => ({
      leader: this.#leader?.metadata ?? null,
      here: leadership.isLeader,
    }));
    app.setErrorHandler((error, _, reply) => {
      if (isPassing(error))
        return reply
          .code(503)
          .header('retry-after', '1')
          .send({ error: String(error) });
      const { statusCode = 500 } = error as { statusCode?: number };
      if (statusCode < 500) return reply.code(statusCode).send({ error: String(error) });
      log.error(error, 'a request failed');
      return reply.code(500).send({ error: 'internal error' });
    });
  }

  /** Resolves to its URL. */
  listen(): Promise<string> {
    return this.#app.listen({ port: this.#settings.port, host: '127.0.0.1' });
  }

  /** Takes no more requests, and resolves when those under way are answered. */
  close(): Promise<void> {
    return this.#app.close();
  }
}
