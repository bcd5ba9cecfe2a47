/** Of every session, in milliseconds. */
export const TTL = 500;
/** More than clocks that are off by 2 % need. */
export const MARGIN = 25;
