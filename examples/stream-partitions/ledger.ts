import { appendFileSync, readFileSync } from 'node:fs';

/** What a worker has done, in the order in which all of them did it. */
export type Entry =
  | { readonly partition: string; readonly token: string; readonly event: number }
  | { readonly partition: string; readonly token: string; readonly checkpoint: number };

/**
 * Stands for the system that the events are for. A file, to which each line is appended in one step: so the order is what really
 * happened, whichever process wrote it, and a worker that is killed leaves behind what it has done.
 */
export class Ledger {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  append(entry: Entry): void {
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  read(): Entry[] {
    const lines = readFileSync(this.#file, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
  }
}
