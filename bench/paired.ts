import { median, quantile, sampleWithReplacement } from 'simple-statistics';

export interface Variant {
  readonly name: string;
  /** Does some operations and says how many. */
  run(): Promise<number>;
}

export interface Figure {
  readonly name: string;
  /** Of the blocks, in milliseconds for each operation. */
  readonly ms: number;
  /** Time relative to the first variant, block by block: the median, and the interval that holds it with 95 %. */
  readonly ratio: Ratio;
}

export interface Ratio {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface PairedOptions {
  readonly blocks: number;
  /** Milliseconds that each variant runs in each block, at least. */
  readonly blockMs: number;
  readonly onBlock?: (block: number) => void;
}

const RESAMPLES = 2_000;

/**
 * Measures variants beside one another: in each block all of them run, in a random order, so that what the machine does
 * meanwhile meets all of them. The first variant is what the others are compared with. Before the first block all of
 * them warm up.
 */
export async function paired(variants: readonly Variant[], options: PairedOptions): Promise<Figure[]> {
  const costs = variants.map((): number[] => []);
  for (const variant of variants) await cost(variant, options.blockMs);
  for (let block = 0; block < options.blocks; block++) {
    for (const index of shuffled(variants.length)) {
      const variant = variants[index] as Variant;
      costs[index]?.push(await cost(variant, options.blockMs));
    }
    options.onBlock?.(block + 1);
  }
  const [base = []] = costs;
  return variants.map(({ name }, index) => {
    const own = costs[index] ?? [];
    return { name, ms: median(own), ratio: ratioOf(own, base) };
  });
}

/** Of values that belong together pair by pair. */
export function ratioOf(values: readonly number[], bases: readonly number[]): Ratio {
  const ratios = values.map((value, index) => value / (bases[index] as number));
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(sampleWithReplacement(ratios, ratios.length)),
  );
  return { median: median(ratios), low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}

async function cost({ run }: Variant, blockMs: number): Promise<number> {
  const begun = performance.now();
  let operations = 0;
  do operations += await run();
  while (performance.now() - begun < blockMs);
  return (performance.now() - begun) / operations;
}

function shuffled(length: number): number[] {
  return Array.from({ length }, (_, index) => ({ index, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ index }) => index);
}
