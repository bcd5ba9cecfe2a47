import type { KeyRules } from '../../contract/validate.ts';
import { textKeys } from '../kit/keys.ts';

/** A row of the index ends at about 2,700 bytes. */
const MOST_BYTES = 2_048;

function sizeProblem(text: string): string | undefined {
  if (text.length <= MOST_BYTES / 4 || Buffer.byteLength(text) <= MOST_BYTES) return undefined;
  return `must have at most ${MOST_BYTES} bytes`;
}

export const keys: KeyRules = {
  keyProblem: (key) => textKeys.keyProblem(key) ?? sizeProblem(key),
  prefixProblem: (prefix) => textKeys.prefixProblem(prefix) ?? sizeProblem(prefix),
};
