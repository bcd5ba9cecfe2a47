import { SyncError } from 'holdfast';
import { expect } from 'vitest';

/** The error for an option of this name that is wrong. */
export function refused(option: string, sentence = ''): unknown {
  return expect.toSatisfy(
    (error: unknown) =>
      error instanceof SyncError &&
      error.code === 'invalid-option' &&
      error.outcome === 'refused' &&
      error.message.includes(`option "${option}" `) &&
      error.message.includes(sentence),
    `a SyncError invalid-option about "${option}" ${sentence}`,
  );
}
