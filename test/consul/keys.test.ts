import { describe, expect, inject, it } from 'vitest';
import { consul } from '../../src/backends/consul/index.ts';
import { isSyncError, type SyncError } from '../../src/contract/errors.ts';
import { failure, put, session, signal, uniquePrefix, until } from './support.ts';

const address = inject('consulAddress');

const carried = [
  ...[
    'a?b=c',
    'a#b',
    '%2e%2e',
    'a/%2e%2e/b',
    '%',
    '%00',
    'a%2Fb',
    ' a b ',
    'a+b&c;d',
    '"q"',
    'b\\s',
    '{name}',
  ],
  ...['.a', 'a.', '...', 'ключ/鍵', '🔒/👩‍👩‍👧', 'e\u0301', 'a:b', 'end/', 'x'.repeat(4_000)],
];

const refused = [
  ...['', '/', '/a', 'a//b', 'a/./b', 'a/../b', '..', '.', 'a/..', './a', 'a\0b', 'a\nb', 'a\tb', 'a\u007fb'],
  ...['a\ud800', '\udc00b', 'x'.repeat(4_097)],
];

describe('keys', () => {
  it.each(carried)('%j comes back the same from everywhere', async (name) => {
    await using backend = consul({ addresses: [address] });
    const prefix = uniquePrefix();
    const key = prefix + name;
    if (Buffer.byteLength(key) > 4_096) return;
    const owner = await session(backend);
    expect(backend.lockPath(key)).toBe(key);
    const { at } = await backend.query({ key }, { signal: signal() });
    const woken = backend.query({ key }, { since: at, wait: 20_000, signal: signal() });
    const revision = await put(backend, key, name, owner);
    const shown = [{ key, session: owner, revision }];
    expect((await woken).records).toMatchObject(shown);
    expect((await backend.query({ key }, { signal: signal() })).records).toMatchObject(shown);
    expect((await backend.query({ prefix }, { signal: signal() })).records).toMatchObject(shown);
    const commit = { when: [{ key, revision }], then: [{ remove: key }], read: { prefix } };
    expect(await backend.commit(commit, signal())).toMatchObject({ ok: true, read: [] });
    await backend.closeSession(owner, signal());
  });

  it.each(refused)('%j is refused before any I/O', async (key) => {
    await using backend = consul({ host: '127.0.0.1', port: 1 });
    const thrown = (): SyncError | undefined => {
      try {
        backend.lockPath(key);
      } catch (error) {
        return isSyncError(error) ? error : undefined;
      }
      return undefined;
    };
    expect(thrown()?.code).toBe('invalid-key');
    await failure(backend.query({ key }, { signal: signal() }), 'invalid-key');
    await failure(backend.commit({ when: [], then: [{ remove: key }] }, signal()), 'invalid-key');
    await failure(backend.commit({ when: [{ key, is: 'absent' }], then: [] }, signal()), 'invalid-key');
    await failure(backend.commit({ when: [], then: [], read: { key } }, signal()), 'invalid-key');
  });

  it.each(['.', '..', 'a/.', 'x', 'x😀'.slice(0, 2)])('a prefix that ends in %j is read', async (end) => {
    await using backend = consul({ addresses: [address] });
    const prefix = uniquePrefix() + end;
    if (!prefix.isWellFormed()) {
      await failure(backend.query({ prefix }, { signal: signal() }), 'invalid-key');
      return;
    }
    await put(backend, `${prefix}tail`, '1');
    const { records, at } = await backend.query({ prefix }, { signal: signal() });
    expect(records.map(({ key }) => key)).toEqual([`${prefix}tail`]);
    const woken = backend.query({ prefix }, { since: at, wait: 20_000, signal: signal() });
    await put(backend, `${prefix}tail`, '2');
    let settled = false;
    woken.then(() => {
      settled = true;
    });
    await until('the wake', () => settled);
    await backend.commit({ when: [], then: [{ remove: `${prefix}tail` }] }, signal());
  });
});
