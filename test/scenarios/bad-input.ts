import { SyncManager } from 'holdfast';
import { expect, test } from 'vitest';
import { recorded } from '../real/recorded.ts';
import { live, Managers, uniqueKey, type World } from './world.ts';

/** What a user may give that no lock can be made of: refused by name, and before anything is sent. */
export function badInput(world: World): void {
  test('FAULTS 34: a TTL outside of what the server takes is refused by name, before any I/O', () => {
    const { backend, calls } = recorded(world.backend());
    const { ttl } = backend.traits;
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, ttl.min - 1, ttl.max + 1]) {
      expect(() => new SyncManager({ name: 'x', backend, session: { ttl: bad } })).toThrow(
        expect.objectContaining({
          code: 'invalid-option',
          message: expect.stringContaining('session.ttl'),
        }),
      );
    }
    expect(calls).toEqual([]);
  });

  test('FAULTS 32: metadata at the limit works; one byte more is refused before any I/O', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const { backend, calls } = recorded(world.backend());
    const manager = managers.make({ backend });
    const key = uniqueKey('size');
    const limit = operator.traits.maxValueBytes;
    const text = (bytes: number) => 'x'.repeat(bytes - 2);
    for (const bytes of [limit - 1, limit]) {
      const grant = await manager.acquire(key, { metadata: text(bytes) });
      const { records } = await operator.query({ key: grant.isOwner.key }, { signal: live });
      expect(records[0]?.value.byteLength).toBe(bytes);
      await grant.release();
    }
    const refused = expect.objectContaining({ code: 'value-too-large' });
    const asked = () => calls.filter(({ verb }) => verb !== 'renewSession').length;
    const before = asked();
    const metadata = text(limit + 1);
    expect(() => manager.lock(key, { metadata })).toThrow(refused);
    await expect(manager.acquire(key, { metadata })).rejects.toThrow(refused);
    await expect(manager.tryAcquire(key, { metadata })).rejects.toThrow(refused);
    expect(asked()).toBe(before);

    const other = recorded(world.backend());
    const common = managers.make({ backend: other.backend, metadata });
    await expect(common.lock(key).lock()).rejects.toThrow(refused);
    await expect(common.acquire(key)).rejects.toThrow(refused);
    expect(other.calls).toEqual([]);
  });

  test('FAULTS 33: keys come back the same, or are refused by name before any I/O', async () => {
    await using managers = new Managers(world);
    const operator = managers.operator();
    const { backend, calls } = recorded(world.backend());
    const manager = managers.make({ backend });
    const stem = uniqueKey('keys');
    const good = [
      '%2e%2e',
      '?',
      '#',
      'a?b=c',
      'a#b',
      '\u{1f512}',
      'a b',
      'ä/ö',
      '...',
      '.hidden',
      'a+b&c',
      'q\'"',
      'x'.repeat(900),
    ];
    for (const tail of good) {
      const key = `${stem}/${tail}`;
      const grant = await manager.acquire(key);
      const { records } = await operator.query({ prefix: operator.lockPath(key) }, { signal: live });
      expect(records.map((record) => record.key)).toEqual([grant.isOwner.key]);
      expect(grant.isOwner.key.startsWith(key)).toBe(true);
      await grant.release();
    }
    const bad = [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '..',
      'a/../b',
      './a',
      'a\0b',
      'a\nb',
      '\ud800',
      'x'.repeat(4096),
    ];
    const asked = () => calls.filter(({ verb }) => verb !== 'renewSession').length;
    const before = asked();
    for (const key of bad) {
      // By name: as JSON shows it, and cut short if it is long.
      const message = expect.stringContaining(JSON.stringify(key).slice(0, 100));
      const refused = expect.objectContaining({ code: 'invalid-key', message });
      await expect(manager.acquire(key)).rejects.toThrow(refused);
      expect(() => manager.lock(key)).toThrow(refused);
    }
    expect(asked()).toBe(before);
  });
}
