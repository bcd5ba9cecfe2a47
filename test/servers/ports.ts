import { createServer, type Server } from 'node:net';

/**
 * Below the range that Linux (32768-60999) and macOS (49152-65535) hand out to outgoing connections. A port from
 * "bind 0" lies inside it, where a client that keeps dialling a server that is down takes the server's own port
 * sooner or later, and even ends up connected to itself; a restart on the same port would then fail.
 */
const FIRST_PORT = 15_000;
const LAST_PORT = 32_000;

/** The first port of a block is its guard, the others are handed out. */
const BLOCK_SIZE = 8;
const BLOCKS = Math.floor((LAST_PORT - FIRST_PORT) / BLOCK_SIZE);

/** Loopback ports which no other process of this harness will hand out until they are released. */
export interface PortReservation {
  readonly ports: readonly number[];
  release(): void;
}

/**
 * Reserves up to seven free ports. This process keeps the guard port of the block bound for as long as the
 * reservation lives, also while the server that uses the others is down. So parallel workers cannot collide, and
 * nothing stale is left when a process is killed, as the system closes the guard.
 */
export async function reservePorts(count: number): Promise<PortReservation> {
  if (count >= BLOCK_SIZE) throw new RangeError(`At most ${BLOCK_SIZE - 1} ports, not ${count}.`);
  const start = Math.floor(Math.random() * BLOCKS);
  for (let step = 0; step < BLOCKS; step += 1) {
    const base = FIRST_PORT + ((start + step) % BLOCKS) * BLOCK_SIZE;
    const guard = await tryListen(base);
    if (guard === undefined) continue;
    const ports = Array.from({ length: count }, (_, index) => base + 1 + index);
    if (await areFree(ports)) return { ports, release: () => void guard.close() };
    guard.close();
  }
  throw new Error(`No ${count} free loopback ports between ${FIRST_PORT} and ${LAST_PORT}.`);
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  const listeners = await Promise.all(ports.map(tryListen));
  await Promise.all(listeners.map((listener) => listener && closed(listener)));
  return listeners.every((listener) => listener !== undefined);
}

function tryListen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', () => resolve(undefined));
    // Exclusive: in a cluster worker two listeners could otherwise share the port.
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
