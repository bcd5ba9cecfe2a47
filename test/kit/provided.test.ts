import { describe, expect, test } from 'vitest';
import { Present } from '../../src/backends/kit/provided.ts';

const nothing = (): void => {};

describe('what an application provides', () => {
  test('as a value is checked at once, and stays', async () => {
    const checked: string[] = [];
    const present = new Present('a', (value) => checked.push(value));
    expect(checked).toEqual(['a']);
    expect(present.known).toBe('a');
    expect(present.changes).toBe(false);
    present.forget();
    expect(present.known).toBe('a');
    expect(await present.refused('a')).toBe(false);
    const refuse = (): void => {
      throw new Error('not this');
    };
    expect(() => new Present('a', refuse)).toThrow('not this');
  });

  test('by a function is asked for once for all who wait, and kept until it is forgotten', async () => {
    let asked = 0;
    const present = new Present(async () => `${++asked}`, nothing);
    expect(present.known).toBeUndefined();
    expect(await Promise.all([present.get(), present.get()])).toEqual(['1', '1']);
    expect(present.known).toBe('1');
    expect(await present.get()).toBe('1');
    present.forget();
    expect(await present.get()).toBe('2');
  });

  test('and is refused is asked for again, once for all who come back with it', async () => {
    let value = 'old';
    let asked = 0;
    const present = new Present(() => {
      asked += 1;
      return value;
    }, nothing);
    await present.get();
    expect(await present.refused('old')).toBe(false);
    value = 'new';
    expect(await Promise.all([present.refused('old'), present.refused('old')])).toEqual([true, true]);
    expect(asked).toBe(3);
    expect(await present.refused('old')).toBe(true);
    expect(asked).toBe(3);
  });

  test('that cannot be used rejects each time, and the next time it may be', async () => {
    const present = new Present(
      async () => 'bad',
      () => {
        throw new Error('not this');
      },
      'token',
    );
    const failure = {
      code: 'unavailable',
      outcome: 'refused',
      message: 'the function given for "token" failed',
    };
    await expect(present.get()).rejects.toMatchObject(failure);
    let isReady = false;
    const later = new Present<string>(
      () => {
        if (!isReady) throw new Error('hunter2');
        return 'good';
      },
      nothing,
      'token',
    );
    await expect(later.get()).rejects.toMatchObject(failure);
    isReady = true;
    expect(await later.get()).toBe('good');
  });
});
