const start = performance.now();

/** One line of the timeline: seconds since the start, and what happened. */
export function say(line: string): void {
  const seconds = ((performance.now() - start) / 1_000).toFixed(2).padStart(6);
  console.log(`${seconds} s  ${line}`);
}
