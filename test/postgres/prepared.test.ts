import { expect, test } from 'vitest';
import { PreparedPool } from '../../src/backends/postgres/prepared.ts';

/** A client that keeps what has a name, unless the server says otherwise. */
function recording(refusal?: string) {
  const names: (string | undefined)[] = [];
  const client = {
    async query({ name }: { name?: string; text: string; values: unknown[] }) {
      names.push(name);
      if (name !== undefined && refusal !== undefined)
        throw Object.assign(new Error('refused'), { code: refusal });
      return { rows: [] };
    },
    release() {},
  };
  return { names, pool: new PreparedPool({ connect: async () => client }) };
}

test('a statement has a name that says what its text is', async () => {
  const { names, pool } = recording();
  for (const text of ['SELECT 1', 'SELECT 2', 'SELECT 1']) await (await pool.connect()).query(text, []);
  expect(names[0]).toBe(names[2]);
  expect(names[0]).not.toBe(names[1]);
  expect(names.every((name) => name?.startsWith('holdfast-') && name.length < 63)).toBe(true);
});

test.each(['42P05', '26000'])(
  'where the connection does not know what it should (%s), it is sent again without a name, and all after it',
  async (code) => {
    const { names, pool } = recording(code);
    const client = await pool.connect();
    await client.query('SELECT 1', []);
    await client.query('SELECT 1', []);
    expect(names).toEqual([expect.any(String), undefined, undefined]);
  },
);

test('what is refused for anything else is not sent again', async () => {
  const { names, pool } = recording('23505');
  await expect((await pool.connect()).query('SELECT 1', [])).rejects.toThrow('refused');
  expect(names).toHaveLength(1);
});
