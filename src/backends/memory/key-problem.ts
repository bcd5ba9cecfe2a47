/** It would take any text; these are what a server of its kind could not hold. */
export function keyProblem(key: string): string | undefined {
  if (key === '') return 'must not be empty';
  if (key.includes('\0')) return 'must not contain NUL';
  if (!key.isWellFormed()) return 'must not contain a lone surrogate, which UTF-8 cannot express';
  return undefined;
}
