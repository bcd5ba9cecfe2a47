/** Of all locks of a manager, so that nobody has to look at each. */
export interface LockTally {
  /** Calls that wait. */
  calls: number;
  /** Those with a standing claim. */
  claimed: number;
  /** Those of them with a grant, whether or not it can be believed in at the moment. */
  granted: number;
}
