import { Worker } from 'node:worker_threads';
import { crowd } from './crowd.ts';
import { waited } from './waited.ts';

/** Milliseconds that two busy processors may add to what a test measures. */
const BUSY = 150;

// A thread that does nothing but look at the clock: how late it is woken tells how long the machine stood still.
const worst = new Int32Array(new SharedArrayBuffer(4));
const WITNESS = `
  const { workerData: worst } = require('node:worker_threads');
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const before = performance.now();
    Atomics.wait(never, 0, 0, 10);
    const late = Math.round(performance.now() - before - 10);
    if (late > Atomics.load(worst, 0)) Atomics.store(worst, 0, late);
  }
`;
new Worker(WITNESS, { eval: true, workerData: worst }).unref();

// Where the system tells it: how long the event loop, ready to run, had to wait for a processor from one turn to the next.
let starved = 0;
let before = waited();
setInterval(() => {
  const now = waited();
  starved = Math.max(starved, now - before);
  before = now;
}, 10).unref();

/** No file is excused by a stall that came before it. */
export function watchFromNow(): void {
  Atomics.store(worst, 0, 0);
  starved = 0;
}

/**
 * Milliseconds that the machine may have added to what a test measures: what busy processors do, and the longest that the
 * whole machine stood still, or kept this event loop waiting for a processor, since this file began. What the event loop
 * of a test does by itself is not in it.
 */
export function busy(): number {
  return BUSY + Math.round(Math.max(Atomics.load(worst, 0), starved));
}

/**
 * Milliseconds within which something has to be over that takes so many on a quiet machine, where it is work of servers and
 * of other processes, or many small steps: all of them get only their share of a crowded machine.
 */
export function slowed(ms: number): number {
  return ms * crowd() + busy();
}
