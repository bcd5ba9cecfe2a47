import type { Logger } from 'holdfast';

const nothing = (): void => undefined;

/** For processes that are to print nothing but what they have to tell: losses are part of what is tried. */
export const QUIET: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
