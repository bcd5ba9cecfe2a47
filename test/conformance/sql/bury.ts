import type { ConformancePause } from 'holdfast/testing';
import type { Database } from './database.ts';
import { Transaction } from './transaction.ts';

/** Ends a session and what it owns. By whoever notices only if it is past its time; by its owner always. */
export async function bury(
  database: Database,
  pause: ConformancePause,
  id: string,
  closing = false,
): Promise<void> {
  const transaction = new Transaction(database, pause);
  try {
    await transaction.lock([`session ${id}`]);
    const ends = await transaction.statement('the look at the session', () => {
      const session = database.sessions.get(id);
      return session !== undefined && (closing || session.expires <= performance.now());
    });
    if (!ends) return;
    transaction.deleteSession(id);
    // After the lock: before it there may have been more to come.
    const owned = await transaction.statement('the look at its records', () => ownedBy(database, id));
    await transaction.lock(owned.map(({ key }) => `record ${key}`));
    await transaction.statement('the removals', () => {
      for (const row of owned) transaction.remove(row);
    });
    transaction.apply();
    database.notify(transaction.keys);
    transaction.end();
    await pause('after the commit');
  } finally {
    transaction.end();
  }
}

function ownedBy(database: Database, id: string) {
  return database.records.select({ prefix: '' }).filter(({ session }) => session === id);
}
