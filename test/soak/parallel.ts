/** Runs `work` for the numbers from 0 on, so many at a time. Resolves to the results in order. */
export async function inParallel<T>(
  count: number,
  atATime: number,
  work: (number: number) => Promise<T>,
): Promise<T[]> {
  const results: T[] = new Array(count);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) results[number] = await work(number);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return results;
}
