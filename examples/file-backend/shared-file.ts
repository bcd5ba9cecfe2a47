import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds after which a lock file is of a process that died, and is taken away. */
const STALE = 5_000;
const RETRY = 2;

/**
 * One file that several processes of a machine change in turns: whoever has made the lock file reads it, and puts another one in its
 * place by a rename, so that a reader always finds a whole one.
 */
export class SharedFile {
  readonly #path: string;
  readonly #lock: string;

  constructor(path: string) {
    this.#path = path;
    this.#lock = `${path}.lock`;
  }

  /** `undefined` for a file that is not there. */
  async read(): Promise<string | undefined> {
    try {
      return await readFile(this.#path, 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** @param next gives what is to stand there, or `undefined` to leave it as it is. */
  async change(next: (text: string | undefined) => string | undefined, signal: AbortSignal): Promise<void> {
    const mark = randomUUID();
    await this.#enter(mark, signal);
    try {
      const text = next(await this.read());
      if (text === undefined) return;
      const draft = `${this.#path}.${mark}`;
      await writeFile(draft, text);
      // Stopped for so long that another one went on in our place, we must not put back what it has changed.
      if ((await readFile(this.#lock, 'utf8')) === mark) await rename(draft, this.#path);
      else await rm(draft).then(() => Promise.reject(new Error('the lock file was taken away')));
    } finally {
      if ((await readFile(this.#lock, 'utf8').catch(() => '')) === mark)
        await rm(this.#lock, { force: true });
    }
  }

  async #enter(mark: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      try {
        const file = await open(this.#lock, 'wx');
        await file.writeFile(mark).finally(() => file.close());
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const since = await stat(this.#lock).then(
        ({ mtimeMs }) => mtimeMs,
        () => undefined,
      );
      if (since !== undefined && Date.now() - since > STALE) await rm(this.#lock, { force: true });
      await sleep(RETRY, undefined, { signal });
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
