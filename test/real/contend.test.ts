import { MemoryStore, memory } from 'holdfast/memory';
import { LockHistory } from 'holdfast/testing';
import { expect, test } from 'vitest';
import { live, Managers, until } from '../scenarios/world.ts';
import { contend } from './contend.ts';

test('F1: contenders end with their managers, though nobody tells them to', async () => {
  const store = new MemoryStore();
  const backend = () => memory({ store });
  const managers = new Managers({ name: 'memory', ttl: 60_000, lockDelay: 0, backend });
  const history = new LockHistory();
  let turns = 0;
  const work = ['a', 'b', 'c'].map((client) =>
    contend(managers.make(), 'k', client, history, live, () => turns++),
  );
  await until(() => turns > 6);
  await managers[Symbol.asyncDispose]();
  await Promise.all(work);
  expect(history.check()).toMatchObject({ ok: true });
});
