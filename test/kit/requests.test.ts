import { expect, test } from 'vitest';
import { Window } from '../../src/async/window.ts';
import type { Done, Verdict } from '../../src/backends/kit/driver.ts';
import { Lifetime } from '../../src/backends/kit/lifetime.ts';
import { Requests } from '../../src/backends/kit/requests.ts';
import { SyncError } from '../../src/contract/errors.ts';

type Sent = { readonly names: readonly string[]; readonly done: Done<string>; cancelled: boolean };

const { signal } = new AbortController();

/** A server that is answered for by the test. */
class Server {
  readonly sent: Sent[] = [];
  readonly lifetime = new Lifetime('tested');
  readonly window = new Window(1);
  readonly requests = new Requests<string, string>(this.lifetime, {
    lane: { window: this.window, limits: { cost: 10, bytes: 1_000 } },
    send: (names, done) => {
      const sent = { names, done, cancelled: false };
      this.sent.push(sent);
      return () => {
        sent.cancelled = true;
      };
    },
  });

  ask(name: string, by = signal): Promise<string> {
    return this.requests.ask(name, by, false, { keys: [name], cost: 1, bytes: 1 });
  }

  async next(): Promise<Sent> {
    const known = this.sent.length;
    for (let turns = 0; turns < 100 && this.sent.length === known; turns++) await turn();
    return this.sent.at(-1) as Sent;
  }

  async answer(outcome: readonly Verdict<string>[] | SyncError): Promise<void> {
    this.sent.at(-1)?.done(outcome);
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const refusal = (code: 'permission-denied' | 'unavailable' = 'permission-denied'): SyncError =>
  new SyncError(code, 'no', { outcome: 'refused' });

test('each has a verdict of its own: an answer, a refusal, one more time together, or by itself', async () => {
  const server = new Server();
  const asked = Promise.allSettled(['a', 'b', 'c', 'd', 'e'].map((name) => server.ask(name)));
  expect((await server.next()).names).toEqual(['a', 'b', 'c', 'd', 'e']);
  await server.answer(['A', refusal(), 'again', 'again', 'alone']);
  expect(server.sent.at(-1)?.names).toEqual(['c', 'd']);
  await server.answer(['C', 'D']);
  expect(server.sent.at(-1)?.names).toEqual(['e']);
  await server.answer(['E']);
  const [a, b, c, d, e] = await asked;
  expect([a, c, d, e].map((each) => each?.status === 'fulfilled' && each.value)).toEqual([
    'A',
    'C',
    'D',
    'E',
  ]);
  expect(b).toMatchObject({ status: 'rejected', reason: { code: 'permission-denied' } });
  expect(server.window.tryEnter()).toBe(true);
});

test('a refusal of the whole that may be about one of them is told to nobody: each is asked by itself', async () => {
  const server = new Server();
  const asked = Promise.allSettled(['a', 'b'].map((name) => server.ask(name)));
  await server.next();
  await server.answer(refusal());
  expect(server.sent.at(-1)?.names).toEqual(['a']);
  await server.answer(['A']);
  expect(server.sent.at(-1)?.names).toEqual(['b']);
  await server.answer(refusal());
  expect(await asked).toMatchObject([
    { status: 'fulfilled', value: 'A' },
    { status: 'rejected', reason: { code: 'permission-denied' } },
  ]);
});

test.each([
  ['of which nothing is known', new SyncError('permission-denied', 'a proxy says no')],
  ['that is about the server', refusal('unavailable')],
])('a failure %s is told to all, and nothing is sent again', async (_, error) => {
  const server = new Server();
  const asked = Promise.allSettled(['a', 'b'].map((name) => server.ask(name)));
  await server.next();
  await server.answer(error);
  expect(await asked).toMatchObject([{ reason: error }, { reason: error }]);
  expect(server.sent).toHaveLength(1);
});

test('a server that blames nobody for ever is given up', async () => {
  const server = new Server();
  const asked = server.ask('a');
  asked.catch(() => undefined);
  await server.next();
  for (let round = 0; round < 8; round++) await server.answer(['again']);
  await expect(asked).rejects.toMatchObject({ code: 'unavailable', outcome: 'refused' });
  expect(server.sent).toHaveLength(8);
});

test('a request is cancelled when nobody waits for any of it any more', async () => {
  const server = new Server();
  const [one, two] = [new AbortController(), new AbortController()];
  const asked = Promise.allSettled([server.ask('a', one.signal), server.ask('b', two.signal)]);
  const sent = await server.next();
  one.abort('enough');
  await turn();
  expect(sent.cancelled).toBe(false);
  two.abort('enough');
  expect(await asked).toEqual([
    { status: 'rejected', reason: 'enough' },
    { status: 'rejected', reason: 'enough' },
  ]);
  expect(sent.cancelled).toBe(true);
  // What comes too late is nobody's.
  sent.done(['A', 'B']);
  expect(server.window.tryEnter()).toBe(true);
});

test('the end rejects who was sent and who waits, and says of each whether it may have been done', async () => {
  const server = new Server();
  const first = server.ask('a');
  await server.next();
  const second = server.ask('a');
  const asked = Promise.allSettled([first, second]);
  await turn();
  server.lifetime.end();
  expect(await asked).toMatchObject([
    { reason: { code: 'stopped', outcome: 'unknown' } },
    { reason: { code: 'stopped', outcome: 'refused' } },
  ]);
  expect(server.sent).toHaveLength(1);
  expect(server.sent[0]?.cancelled).toBe(true);
});

test('an answer without a part for one of them is no answer to that one', async () => {
  const server = new Server();
  const asked = Promise.allSettled([server.ask('a'), server.ask('b')]);
  await server.next();
  await server.answer(['A']);
  expect(await asked).toMatchObject([
    { value: 'A' },
    { reason: { code: 'bad-response', outcome: 'unknown' } },
  ]);
});
