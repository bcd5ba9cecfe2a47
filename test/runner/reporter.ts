import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';

/** What the reporter tells the process that watches the run. */
export interface News {
  readonly file: string;
  readonly what: 'began' | 'ended';
}

/** Tells the process that started this Vitest which file begins and which ends. */
export default class ProgressReporter implements Reporter {
  onInit(): void {
    // Whoever watches is gone, by SIGKILL perhaps: without it nothing would end a file that hangs. Vitest leads its group.
    process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
    // Who listens to that keeps the event loop alive, and Vitest ends when nothing does.
    process.channel?.unref();
  }

  onTestModuleQueued(module: TestModule): void {
    this.#tell(module, 'began');
  }

  onTestModuleEnd(module: TestModule): void {
    this.#tell(module, 'ended');
  }

  #tell({ moduleId }: TestModule, what: News['what']): void {
    const news: News = { file: relative(process.cwd(), moduleId), what };
    process.send?.(news);
  }
}
