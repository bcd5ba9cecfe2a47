import { renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from './child.ts';
import { LIBRARIES, thisMachine } from './locate.ts';
import { letNobodyThrough } from './nobody.ts';
import { unpackPackages } from './packages.ts';

/** A wall clock of servers that is set while they run, by Debian's libfaketime. What is monotonic goes on as it is. */
export class SettableClock {
  /** Of the environment of a server that goes by it. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  private constructor(library: string) {
    const folder = temporaryFolder('clock');
    for (const each of [dirname(folder), folder]) letNobodyThrough(each);
    this.#file = join(folder, 'lead');
    this.set(0);
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  static async create(): Promise<SettableClock> {
    const folder = await unpackPackages(thisMachine, 'bookworm', ['libfaketime']);
    return new SettableClock(join(folder, 'usr', LIBRARIES, 'faketime', 'libfaketime.so.1'));
  }

  /** @param lead milliseconds that it is before the machine's own; below 0, behind it. */
  set(lead: number): void {
    // It is read at each look at the clock, and is never to be seen half written.
    writeFileSync(`${this.#file}.new`, `${lead < 0 ? '-' : '+'}${Math.abs(lead) / 1_000}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
