import { readFileSync } from 'node:fs';

/** Milliseconds that this thread was ready to run but had no processor, since it began, where the system tells. */
export function waited(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}
