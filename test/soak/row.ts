/** One row of what must hold over many repetitions. Rejects with an `AssertionError` when it does not. */
export interface RowOptions {
  /** How often. */
  readonly count: number;
  /** On the clock of `performance.now()`. The row then ends early, in good order, and tells how much it did. */
  readonly deadline?: number;
  readonly onProgress?: (done: number) => void;
}

export interface RowResult {
  readonly done: number;
  /** One line of measured figures. */
  readonly figures: string;
}

export function isOver({ deadline }: RowOptions): boolean {
  return deadline !== undefined && performance.now() >= deadline;
}
