import { type Names, refuseUnknown } from '../contract/options.ts';
import { checkNumber, invalidOf } from './checks.ts';

/** One call, as its client saw it. Instants in milliseconds of one clock. */
export interface Operation<I, O> {
  readonly client: string;
  readonly call: number;
  /** Without it the outcome is unknown: it may take effect at any later time, or never. */
  readonly return?: number;
  readonly input: I;
  /** What it answered. Without a return there is none. */
  readonly output?: O;
}

/** How one copy of the thing behaves when calls come one by one. */
export interface Model<S, I, O> {
  readonly initial: S;
  /** The state after the operation, or `undefined` if it cannot have gone like this in this state. */
  step(state: S, operation: Operation<I, O>): S | undefined;
  /** The same text for the same state, and for no other. */
  key(state: S): string;
  /**
   * Whether the operation, in this state and in all that may follow, changes nothing or is impossible, as a read always.
   * Without this the search is right, but may be endless: it cannot know what no longer makes a difference.
   */
  inert?(state: S, operation: Operation<I, O>): boolean;
}

export interface LinearizableOptions {
  /** How many steps of the model may be tried. Default 5 million. */
  readonly steps?: number;
}

const OPTIONS: Names<LinearizableOptions> = { steps: true };

const invalid = invalidOf('linearizable');

export type Linearizability<S, I, O> =
  | { readonly ok: true; readonly order: readonly Operation<I, O>[] }
  | {
      readonly ok: false;
      readonly why: 'impossible';
      /** As far as it could be put in order, the state at that point, and what could not come next, the first to return first. */
      readonly longest: readonly Operation<I, O>[];
      readonly state: S;
      readonly blocked: readonly Operation<I, O>[];
    }
  | { readonly ok: false; readonly why: 'undecided'; readonly steps: number };

/**
 * Whether the operations can be put in an order that the model allows, each at some instant between its call and its
 * return. Intervals that only touch count as concurrent.
 *
 * The search is that of Wing and Gong with the memory of Lowe ("Testing for linearizability", 2017). Deciding this takes
 * exponential time in the number of operations at once, in the worst case; hence the limit on steps.
 */
export function linearizable<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
  options: LinearizableOptions = {},
): Linearizability<S, I, O> {
  refuseUnknown(options, OPTIONS, invalid);
  const { steps = 5_000_000 } = options;
  checkNumber(invalid, 'steps', steps, { least: 1, whole: true });
  return new Search(model, operations, steps).run();
}

interface Choice<S> {
  readonly operation: number;
  readonly state: S;
}

interface Frame<S> {
  readonly taken: number;
  readonly before: S;
  /** What else could have been taken, the best last. */
  readonly choices: Choice<S>[];
}

class Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #operations: readonly Operation<I, O>[];
  readonly #limit: number;
  #steps = 0;
  /** By call, in a linked list of those not yet taken: a place after the last is the list's end. */
  readonly #next: number[];
  readonly #previous: number[];
  readonly #taken: boolean[];
  /** Those with a return, by that; and the place of each operation in there. */
  readonly #returns: readonly number[];
  readonly #rank: readonly number[];
  /** Everything with a return before this place has been taken. */
  #frontier = 0;
  #takenReturns = 0;
  readonly #takenOptional = new Set<number>();
  readonly #seen = new Set<string>();

  constructor(model: Model<S, I, O>, operations: readonly Operation<I, O>[], limit: number) {
    this.#model = model;
    this.#limit = limit;
    this.#operations = operations.toSorted((a, b) => a.call - b.call);
    const places = this.#operations.map((_, place) => place);
    this.#returns = places
      .filter((place) => this.#operations[place]?.return !== undefined)
      .sort((a, b) => this.#returnOf(a) - this.#returnOf(b));
    const rank = places.map(() => -1);
    for (const [place, operation] of this.#returns.entries()) rank[operation] = place;
    this.#rank = rank;
    this.#taken = places.map(() => false);
    const end = places.length;
    this.#next = [...places.map((place) => place + 1), 0];
    this.#previous = [end, ...places];
  }

  run(): Linearizability<S, I, O> {
    const frames: Frame<S>[] = [];
    let state = this.#model.initial;
    let longest = { taken: [] as number[], state, blocked: this.#blocked() };
    let choices = this.#choices(state);
    for (;;) {
      if (this.#takenReturns === this.#returns.length) {
        return { ok: true, order: this.#named(frames.map(({ taken }) => taken)) };
      }
      if (this.#steps > this.#limit) return { ok: false, why: 'undecided', steps: this.#limit };
      const choice = choices.pop();
      if (choice === undefined) {
        if (frames.length > longest.taken.length) {
          longest = { taken: frames.map(({ taken }) => taken), state, blocked: this.#blocked() };
        }
        const frame = frames.pop();
        if (frame === undefined) break;
        this.#putBack(frame.taken);
        state = frame.before;
        choices = frame.choices;
        continue;
      }
      this.#take(choice.operation);
      if (this.#wasHere(choice.state)) {
        this.#putBack(choice.operation);
        continue;
      }
      frames.push({ taken: choice.operation, before: state, choices });
      state = choice.state;
      choices = this.#choices(state);
    }
    const { taken, blocked, state: last } = longest;
    return {
      ok: false,
      why: 'impossible',
      longest: this.#named(taken),
      state: last,
      blocked: this.#named(blocked),
    };
  }

  /** What may come next: whatever was called before the first of the rest has returned. */
  #choices(state: S): Choice<S>[] {
    const key = this.#model.key(state);
    const needed: Choice<S>[] = [];
    const optional: Choice<S>[] = [];
    for (const operation of this.#open()) {
      const inert = this.#isInert(state, operation);
      // What changes nothing need not have happened.
      if (inert && this.#isOptional(operation)) continue;
      this.#steps++;
      const next = this.#model.step(state, this.#at(operation));
      if (next === undefined) continue;
      const choice = { operation, state: next };
      // If there is an order at all, then there is one with this here.
      if (inert) return [choice];
      if (!this.#isOptional(operation)) needed.push(choice);
      else if (this.#model.key(next) !== key) optional.push(choice);
    }
    // What returned first is the likeliest to have come first; what need not have happened comes last.
    needed.sort((a, b) => this.#rankOf(b.operation) - this.#rankOf(a.operation));
    return [...optional.reverse(), ...needed];
  }

  *#open(): Iterable<number> {
    const end = this.#operations.length;
    const first = this.#returns[this.#frontier];
    const bound = first === undefined ? Number.POSITIVE_INFINITY : this.#returnOf(first);
    for (let place = this.#next[end] ?? end; place !== end; place = this.#next[place] ?? end) {
      if (this.#at(place).call > bound) return;
      yield place;
    }
  }

  #blocked(): number[] {
    const needed = [...this.#open()].filter((operation) => !this.#isOptional(operation));
    return needed.sort((a, b) => this.#rankOf(a) - this.#rankOf(b));
  }

  #take(operation: number): void {
    const [before, after] = this.#neighbours(operation);
    this.#next[before] = after;
    this.#previous[after] = before;
    this.#taken[operation] = true;
    if (this.#isOptional(operation)) this.#takenOptional.add(operation);
    else this.#takenReturns++;
    while (this.#taken[this.#returns[this.#frontier] ?? -1]) this.#frontier++;
  }

  /** Only in the reverse order of taking: the neighbours are those of then. */
  #putBack(operation: number): void {
    const [before, after] = this.#neighbours(operation);
    this.#next[before] = operation;
    this.#previous[after] = operation;
    this.#taken[operation] = false;
    if (this.#isOptional(operation)) {
      this.#takenOptional.delete(operation);
      return;
    }
    this.#takenReturns--;
    this.#frontier = Math.min(this.#frontier, this.#rank[operation] ?? 0);
  }

  #neighbours(operation: number): [before: number, after: number] {
    return [this.#previous[operation] as number, this.#next[operation] as number];
  }

  /** Whether this state was reached before with the same operations taken; from there it led nowhere. */
  #wasHere(state: S): boolean {
    const ahead: number[] = [];
    // All up to the frontier are taken; of the rest only as many as are missing in the count.
    const missing = this.#takenReturns - this.#frontier;
    for (let place = this.#frontier + 1; ahead.length < missing; place++) {
      if (this.#taken[this.#returns[place] ?? -1]) ahead.push(place);
    }
    const optional = [...this.#takenOptional]
      .filter((operation) => !this.#isInert(state, operation))
      .sort((a, b) => a - b);
    const key = `${this.#frontier};${ahead};${optional};${this.#model.key(state)}`;
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    return false;
  }

  #named(places: readonly number[]): Operation<I, O>[] {
    return places.map((place) => this.#at(place));
  }

  #at(place: number): Operation<I, O> {
    return this.#operations[place] as Operation<I, O>;
  }

  #isInert(state: S, operation: number): boolean {
    return this.#model.inert?.(state, this.#at(operation)) ?? false;
  }

  #rankOf(operation: number): number {
    return this.#rank[operation] ?? 0;
  }

  #isOptional(operation: number): boolean {
    return this.#rank[operation] === -1;
  }

  #returnOf(operation: number): number {
    return this.#operations[operation]?.return ?? Number.POSITIVE_INFINITY;
  }
}
