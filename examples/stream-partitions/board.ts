import type { News } from './worker.ts';

/** Who works on what, as the workers tell it, and what becomes of it. */
export class Board {
  readonly #assignments = new Map<string, readonly string[]>();
  readonly #positions = new Map<string, number>();
  readonly #ready = new Set<string>();
  readonly #onChange: (line: string) => void;
  readonly #waiting = new Set<() => void>();
  #shown = '';
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(onChange: (line: string) => void) {
    this.#onChange = onChange;
  }

  heard(worker: string, news: News): void {
    if (news.type === 'ready') this.#ready.add(worker);
    else if (news.type === 'checkpoint') this.#positions.set(news.partition, news.position);
    else {
      this.#assignments.set(worker, news.partitions);
      this.#show();
    }
    for (const look of this.#waiting) look();
  }

  isReady(worker: string): boolean {
    return this.#ready.has(worker);
  }

  /** The partitions that a worker has. */
  of(worker: string): readonly string[] {
    return this.#assignments.get(worker) ?? [];
  }

  positionOf(partition: string): number {
    return this.#positions.get(partition) ?? 0;
  }

  /** What a worker that disappeared had; whatever it tells from now on is to be left out by the caller. */
  drop(worker: string): readonly string[] {
    const had = this.of(worker);
    this.flush();
    this.#assignments.delete(worker);
    return had;
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!condition()) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Tells what has changed, and nothing more. */
  end(): void {
    this.flush();
    this.#ended = true;
  }

  /** Tells now what has changed. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const all = [...this.#assignments].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const line = all.map(([worker, partitions]) => `${worker}: ${listed(partitions)}`).join('   ');
    if (line !== this.#shown) this.#onChange(line);
    this.#shown = line;
  }

  /** What changes at once is told as one. */
  #show(): void {
    if (!this.#ended) this.#timer ??= setTimeout(() => this.flush(), 50);
  }
}

function listed(partitions: readonly string[]): string {
  return partitions.length === 0 ? '-' : partitions.toSorted((a, b) => Number(a) - Number(b)).join(' ');
}
