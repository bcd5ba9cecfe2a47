import { expect, test } from 'vitest';
import { loadLibrary, loadMutant } from './copy.ts';

interface Quoting {
  quoteKey(key: string): string;
}

const system = { modules: { decorators: 'decorators/index.ts', quote: 'contract/quote.ts' } };
const patch = {
  file: 'contract/quote.ts',
  in: 'quoteKey',
  find: 'const text =',
  put: "return 'mistaken'; $&",
};
const quoted = ({ quoteKey }: Quoting): string => quoteKey('k');

test('a mistake may be in any folder, and is in all that imports it', async () => {
  const mutant = await loadMutant(system, [patch]);
  expect(quoted(mutant.modules.quote as Quoting)).toBe('mistaken');
  const { SyncManager, memory } = mutant;
  const sync = new SyncManager({ name: 'svc', backend: memory() });
  const grant = await sync.acquire('k');
  await grant.release();
  expect(() => grant.assertHeld()).toThrow('the lock mistaken was released');
  await sync.stop();
});

test('the library itself stays as it is, and so does every other copy', async () => {
  await loadMutant(system, [patch]);
  const [library, copy] = await Promise.all([loadLibrary(system), loadMutant(system, [])]);
  expect(quoted(library.modules.quote as Quoting)).toBe('"k"');
  expect(quoted(copy.modules.quote as Quoting)).toBe('"k"');
  expect(copy.SyncManager).not.toBe(library.SyncManager);
});

test('a mutant whose patch does not fit is none', async () => {
  await expect(loadMutant(system, [{ ...patch, in: 'quotKey' }])).rejects.toThrow('there is no quotKey');
});
