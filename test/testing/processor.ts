/** Milliseconds of processor time since then: what a busy machine adds to the clock is left out. */
export function processorMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}
