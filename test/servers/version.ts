/** Whether the first version in what a program says about itself is at least this one. */
export function isAtLeast(output: string, major: number, minor: number): boolean {
  const match = /(\d+)\.(\d+)\.\d+/.exec(output);
  if (match === null) throw new Error(`There is no version in: ${output}`);
  const found = { major: Number(match[1]), minor: Number(match[2]) };
  return found.major > major || (found.major === major && found.minor >= minor);
}
