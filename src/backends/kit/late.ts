import { clearImmediate, clearTimeout, setImmediate, setTimeout } from '../../async/platform.ts';

/** After a stall of the event loop timers come first, and what has arrived meanwhile only then: it is given its turn. */
export function lateAfter(ms: number, late: () => void): () => void {
  let turn: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    turn = setImmediate(late);
  }, ms);
  return () => {
    clearTimeout(timer);
    clearImmediate(turn);
  };
}
