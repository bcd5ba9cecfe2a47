import { isSyncError, SyncError } from '../../contract/errors.ts';

/**
 * Passes on what a request came to that changes nothing at the store. When it fails nothing was done, and nothing will be,
 * whatever became of it on the way. The signal's own reason stays what it is.
 */
export async function reading<T>(signal: AbortSignal, request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (signal.aborted || !isSyncError(error) || error.outcome === 'refused') throw error;
    throw new SyncError(error.code, error.message, { cause: error.cause, outcome: 'refused' });
  }
}
