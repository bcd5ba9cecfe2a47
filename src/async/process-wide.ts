/**
 * A program may load this library more than once: as a module and by `require`, or in two versions that two of its dependencies
 * ask for. What all of them have to agree on is kept at the global object, under a registered symbol.
 *
 * @param name with a number that changes when the shape of the value does: other versions read it.
 */
export function processWide<T extends object>(name: string, make: () => T): T {
  const symbol = Symbol.for(`holdfast.${name}`);
  const global = globalThis as { [symbol: symbol]: T | undefined };
  const known = global[symbol];
  if (known !== undefined) return known;
  const made = make();
  // Not to be found by who lists what tests left behind.
  Object.defineProperty(globalThis, symbol, { value: made });
  return made;
}
