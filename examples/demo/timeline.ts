const start = performance.now();

let told = start;

/** Milliseconds since the last line. */
export function silence(): number {
  return performance.now() - told;
}

/** One line of the timeline: seconds since the start, and what happened. */
export function say(line: string): void {
  told = performance.now();
  const seconds = ((performance.now() - start) / 1_000).toFixed(2).padStart(6);
  console.log(`${seconds} s  ${line}`);
}
