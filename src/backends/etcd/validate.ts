/** etcd takes any bytes as a key; these are what a string can express, and NUL is its sign for "no end". */
export function prefixProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'must not contain NUL';
  if (!text.isWellFormed()) return 'must not contain a lone surrogate, which UTF-8 cannot express';
  return undefined;
}

export function keyProblem(key: string): string | undefined {
  return key === '' ? 'must not be empty' : prefixProblem(key);
}
