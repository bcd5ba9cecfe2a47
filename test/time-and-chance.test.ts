import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Everything in `src/` may run in the simulation, new folders too: time and chance come from the manager's clock, or from that
 * of the store. Who may ask the platform itself, and why; a folder ends with a slash.
 */
const exceptions: Readonly<Record<string, string>> = {
  'src/async/platform.ts': 'here the platform is asked',
  'src/async/clock.ts': 'makes of it the clock that is injected by default',
  'src/sync/manager/shutdown.ts': 'signals of the operating system end real processes',
  'src/backends/kit/batcher.ts': 'for requests to real servers: those of the memory store travel alone',
  'src/backends/kit/late.ts': 'of requests over a real network',
  'src/backends/kit/endpoints.ts': 'of connections over a real network',
  'src/backends/consul/': 'its server, on the other side of a real network, keeps real time',
  'src/backends/etcd/': 'its server, on the other side of a real network, keeps real time',
  'src/backends/postgres/': 'its server, on the other side of a real network, keeps real time',
  'src/telemetry/recorder.ts': 'measures for people how long they waited; nothing is decided by it',
  'src/testing/': 'is the simulation itself, and what tests and proxies real servers',
};

const CLOCKS = /\bDate\.now\b|\bnew Date(?:\(\)|(?!\())|\bperformance\b|\bprocess\.(?:hrtime|uptime)\b/;
const TIMERS =
  /(?<![.#\w])(?:set|clear)(?:Timeout|Interval|Immediate)\b|\bAbortSignal\.timeout\b|\bprocess\.nextTick\b|\bnode:timers\b|\bAtomics\.wait/;
/** An id that has to be unique, and by which nothing is decided, is chance too: it is named above, with that reason. */
const CHANCE = /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|Fill(?:Sync)?)\b|\bgetRandomValues\b/;
/** Of RxJS, which asks the platform in its turn. */
const OPERATORS =
  /\b(?:timer|interval|delay(?:When)?|debounceTime|throttleTime|auditTime|sampleTime|bufferTime|windowTime|timeInterval|timestamp|timeout(?:With)?|\w+Scheduler|animationFrames)\b/;

/** What of the platform's time and chance this text asks for. A microtask is neither: their order is always the same. */
function asked(text: string): string[] {
  const code = text.replaceAll(/^\s*(?:\/\*|\*|\/\/).*$/gm, '');
  const found = [CLOCKS, TIMERS, CHANCE].flatMap((pattern) => code.match(pattern)?.[0] ?? []);
  for (const [, names = '', from = ''] of code.matchAll(/^import \{([^}]*)\} from '([^']+)';$/gm)) {
    if (from === 'rxjs') found.push(...(names.match(OPERATORS) ?? []));
    if (!from.endsWith('/platform.ts')) continue;
    const taken = names.split(',').map((name) => name.trim());
    found.push(...taken.filter((name) => name !== '' && name !== 'queueMicrotask'));
  }
  // As a default it is injected; anywhere else it is asked.
  const uses = code.replaceAll(/^(?:im|ex)port .*$|\bclock = systemClock\b/gm, '');
  if (/\bsystemClock\b/.test(uses)) found.push('systemClock');
  return [...new Set(found)];
}

const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => relative(root, join(entry.parentPath, entry.name)));

const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const covers = (place: string, file: string): boolean =>
  place.endsWith('/') ? file.startsWith(place) : file === place;

describe('time and chance come from the injected clock', () => {
  test.each(files.filter((file) => !Object.keys(exceptions).some((place) => covers(place, file))))(
    '%s',
    (file) => {
      expect(asked(read(file))).toEqual([]);
    },
  );

  test.each(Object.keys(exceptions))('the exception %s is needed', (place) => {
    const needing = files.filter((file) => covers(place, file) && asked(read(file)).length > 0);
    expect(needing).not.toEqual([]);
  });

  test.each([
    ['const now = Date.now();', ['Date.now']],
    ['const now = new Date();', ['new Date()']],
    ['const then = new Date(clock.wall());', []],
    ['const now = performance.now();', ['performance']],
    ['setTimeout(task, 5);', ['setTimeout']],
    ['clock.setTimeout(task, 5);', []],
    ['const signal = AbortSignal.timeout(5);', ['AbortSignal.timeout']],
    ["import { setTimeout as sleep } from 'node:timers/promises';", ['setTimeout']],
    ["import { randomUUID } from 'node:crypto';", ['randomUUID']],
    ['const id = globalThis.crypto.randomUUID();', ['randomUUID']],
    ["import { createHash } from 'node:crypto';", []],
    ['const half = Math.random() < 0.5;', ['Math.random']],
    ["import { monotonic } from '../async/platform.ts';", ['monotonic']],
    ["import {\n  queueMicrotask,\n  turn,\n} from './platform.ts';", ['turn']],
    ["import { queueMicrotask } from '../async/platform.ts';", []],
    ["import { debounceTime, map } from 'rxjs';", ['debounceTime']],
    ["import { share, type Observable } from 'rxjs';", []],
    ["import { systemClock } from './clock.ts';\nconst { clock = systemClock } = options;", []],
    ["import { systemClock } from './clock.ts';\nsleep(systemClock, 5);", ['systemClock']],
    ['// By performance.now(), as a rule.\n/** `setTimeout` would do. */\n * Math.random', []],
  ])('of %j is seen: %j', (text, expected) => {
    expect(asked(text)).toEqual(expected);
  });
});
