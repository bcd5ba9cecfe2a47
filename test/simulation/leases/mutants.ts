import type { Mutants } from '../mutation/patch.ts';

const FLEET = 'leases/fleet.ts';
const LEASE = 'leases/lease.ts';
const TAKES = 'leases/takes.ts';
const VIEW = 'leases/pool-view.ts';
const SNAPSHOT = 'leases/snapshot.ts';
const MEMBERSHIP = 'leases/membership.ts';
const SESSION = 'sync/session/session.ts';

/** Mistakes of those who lease items, of others and of our own. */
export const mutants: Mutants = {
  'a checkpoint without its condition': [{ file: LEASE, in: '#checkpoint', find: 'this.isOwner,', put: '' }],
  "a checkpoint that does not look at the position's revision": [
    {
      file: LEASE,
      in: '#checkpoint',
      find: "revision === undefined ? { key, is: 'absent' } : { key, revision },",
      put: '',
    },
  ],
  'a checkpoint for whatever has that name by now': [
    {
      file: LEASE,
      in: 'Lease.item',
      find: 'item?.created === this.#item.created',
      put: 'item !== undefined',
    },
  ],
  'expiry by the wall clock': [
    {
      file: SESSION,
      in: 'Session.constructor',
      find: 'this.#wallLead = sent.lead;',
      put: '$& this.first = sent.lead;',
    },
    {
      file: SESSION,
      in: 'Session.trusted',
      find: 'if (now >= this.#deadline) return false;',
      put: 'if (this.#clock.wall() - this.first >= this.#deadline) return false;',
    },
  ],
  'a quota of workers whom nobody sees any more': [
    {
      file: VIEW,
      in: 'start',
      find: 'this.#workers = this.#tell(',
      put: 'this.#workers = new Map(this.workers);\nconst seen = this.#tell(',
    },
    {
      file: VIEW,
      in: 'start',
      find: /(readWorkers\(records, layout\.workers\), layout\.workers\);)/,
      put: '$1 for (const [member, worker] of seen) (this.#workers as Map<string, Worker>).set(member, worker);',
    },
  ],
  'a quota of workers whom no session owns': [
    {
      file: SNAPSHOT,
      in: 'readWorkers',
      find: "if (session === undefined) return 'is owned by no session';",
      put: '',
    },
  ],
  'who is at his share is given more': [
    {
      file: FLEET,
      in: '#balance',
      find: 'this.#keeps(quota));',
      put: 'this.#keeps(quota)) + 1;',
    },
    { file: FLEET, in: '#giveWay', find: 'share - (held.get(other) ?? 0)', put: '$& + 1' },
  ],
  'given back before the handler has ended': [
    {
      file: FLEET,
      in: '#work',
      find: 'await this.#handler(lease);',
      put: 'void Promise.resolve(this.#handler(lease)).catch(() => undefined);',
    },
  ],
  'a bad record ends the scan': [
    {
      file: SNAPSHOT,
      in: 'read',
      find: 'bad.push({ key: record.key, problem: taken });',
      put: '{ $& break; }',
    },
  ],
  'items are held while their worker is not seen': [
    { file: MEMBERSHIP, in: '#write', find: 'keep: true', put: 'keep: false' },
    // What else would put it again.
    { file: MEMBERSHIP, in: 'unseen', find: 'if (this.#wanted === undefined', put: 'return; $&' },
  ],
  'who leaves is seen until his session ends': [
    {
      file: MEMBERSHIP,
      in: '#write',
      find: 'if (value === this.#written) return;',
      put: 'if (value === this.#written || value === undefined) return;',
    },
  ],
  'a hand-over without end': [
    {
      file: FLEET,
      in: '#ask',
      find: "this.#host.background(lease.end('yield-timeout', late));",
      put: 'void late;',
    },
  ],
  'an item that was lost is taken again while its handler runs': [
    { file: TAKES, in: '#isTaken', find: '|| this.#inWork.has(id)', put: '' },
  ],
  'an item is taken that may not be there any more': [
    {
      file: TAKES,
      in: 'Takes.#take',
      find: 'when: [{ key: layout.item(id), revision: item.revision }],',
      put: '',
    },
  ],
  'a removal is believed before it is seen': [
    { file: TAKES, in: '#confirm', find: 'if (record?.created === lease.item.created) return;', put: '' },
  ],
  'more items than a worker may have': [
    {
      file: TAKES,
      in: 'room',
      find: 'this.#host.maxItems - this.#leases.size - this.#trying.size',
      put: 'Number.POSITIVE_INFINITY',
    },
    {
      file: FLEET,
      in: '#take',
      find: 'Math.min(target - this.#underWay.size, this.#host.takes.room)',
      put: 'target - this.#underWay.size + 1',
    },
  ],
  'a failed item is never tried again': [
    { file: TAKES, in: 'pause', find: 'this.#clock.now() + ms', put: 'Number.POSITIVE_INFINITY' },
  ],
};
