/** What a backend can be made of: see docs/backend.md. */

export { Window } from '../../async/window.ts';
export { byCreation } from '../../contract/order.ts';
export { backendOf } from './backend.ts';
export type {
  BatchLimits,
  Cancel,
  Done,
  Driver,
  Lane,
  Look,
  News,
  Request,
  Verdict,
} from './driver.ts';
export { queuePath, textKeys } from './keys.ts';
