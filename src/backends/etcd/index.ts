import type { Backend, BackendTraits } from '../../contract/backend.ts';
import { quoteKey } from '../../contract/quote.ts';
import {
  checkCommit,
  checkKey,
  checkScope,
  checkTtl,
  checkWait,
  type Limits,
  refused,
} from '../../contract/validate.ts';
import { reading } from '../kit/reading.ts';
import { Commits } from './commits.ts';
import { WatchHub } from './hub.ts';
import { KeepAlive } from './keep-alive.ts';
import { type EtcdOptions, resolveOptions } from './options.ts';
import { Queries } from './query.ts';
import { Reads } from './reads.ts';
import { encodeCursor } from './scope.ts';
import { Sessions } from './sessions.ts';
import { Transport } from './transport.ts';
import { keyProblem, prefixProblem } from './validate.ts';

export type { EtcdOptions, EtcdTls } from './options.ts';

const traits: BackendTraits = {
  name: 'etcd',
  contention: 'queue',
  // The server raises anything below 2 s without a word. It would take centuries; a session that outlives its
  // process by more than a day is a mistake.
  ttl: { min: 2_000, max: 24 * 60 * 60 * 1_000 },
  maxLockDelay: 0,
  // The server's limit is 1.5 MiB for a whole request.
  maxValueBytes: 1024 * 1024,
  // The server's default for `--max-txn-ops`.
  maxOperations: 128,
  fencing: 'durable',
  wakes: 'pushed',
};

const { maxValueBytes, maxOperations } = traits;
const limits: Limits = { maxValueBytes, maxOperations, keyProblem, prefixProblem };

const LOCK_SEGMENT = '.lock';

/**
 * etcd 3.4 and later. A session is a lease; a lock's contenders lie as Go's `concurrency` package and `etcdctl lock`
 * lay theirs, so that all of them stand in one queue.
 *
 * Throws a `SyncError` `invalid-option` that names the option. Connects with the first call.
 */
export function etcd(options: EtcdOptions = {}): Backend {
  const resolved = resolveOptions(options);
  const transport = new Transport(resolved);
  const hub = new WatchHub(transport);
  const keepAlive = new KeepAlive(transport);
  const reads = new Reads(transport);
  const queries = new Queries(transport, hub, reads);
  const sessions = new Sessions(transport, keepAlive);
  const commits = new Commits(transport, reads);
  return {
    traits,
    lockPath: (key) => lockPath(key, resolved.lockName),
    async openSession(session, signal) {
      checkTtl(session.ttl, traits.ttl);
      return sessions.open(session, signal);
    },
    renewSession: (id, signal) => sessions.renew(id, signal),
    closeSession: (id, signal) => sessions.close(id, signal),
    async query(scope, query) {
      checkScope(scope, limits);
      checkWait(query.wait);
      return reading(query.signal, queries.query(scope, query));
    },
    commit(wanted, signal) {
      try {
        checkCommit(wanted, limits);
        const committing = commits.commit(wanted, signal);
        return wanted.then.length === 0 ? reading(signal, committing) : committing;
      } catch (error) {
        return Promise.reject(error);
      }
    },
    watch(key, since, wake) {
      checkKey(key, limits);
      return queries.watch(key, since, wake);
    },
    positionOf: (_key, revision) => encodeCursor({ revision }),
    async [Symbol.asyncDispose]() {
      hub.close();
      keepAlive.close();
      transport.close();
    },
  };
}

function lockPath(key: string, lockName: ((key: string) => string) | undefined): string {
  checkKey(key, limits);
  if (lockName !== undefined) {
    const name = lockName(key);
    checkKey(name, limits);
    return `${name}/`;
  }
  if (key.split('/').includes(LOCK_SEGMENT)) {
    const problem = `must not have a segment "${LOCK_SEGMENT}": locks are kept under that name`;
    throw refused('invalid-key', `the key ${quoteKey(key)} ${problem}`);
  }
  return `${key}/${LOCK_SEGMENT}/`;
}
