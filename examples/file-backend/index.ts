import type { Backend } from 'holdfast';
import { backendOf } from 'holdfast/kit';
import { FileDriver, type FileOptions } from './driver.ts';

/** Locks for the processes of one machine, over one file. */
export function file(options: FileOptions): Backend {
  return backendOf(new FileDriver(options));
}
