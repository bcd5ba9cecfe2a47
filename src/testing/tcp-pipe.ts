import type { Socket } from 'node:net';
import { clearTimeout, monotonic, setImmediate, setTimeout } from '../async/platform.ts';

/** What a network does to the connections of a client. */
export interface TcpConditions {
  /**
   * Directions in which nothing gets through. What is sent meanwhile is held, ends of connections too, and delivered
   * after healing, as TCP's retransmission does.
   */
  readonly cut: 'none' | 'requests' | 'replies' | 'both';
  /** Milliseconds that each piece takes, in each direction. */
  readonly delay: number;
  /** Throttle of each connection and direction. `Infinity`: none. */
  readonly bytesPerSecond: number;
}

/** How a connection is to end in the middle of a reply: so many bytes pass, and then it is reset, or ends in good order. */
export interface Fate {
  readonly after: number;
  readonly by: 'reset' | 'end';
}

/** What all connections of a proxy have in common. */
export interface Network {
  conditions: TcpConditions;
  /** Befalls the connection whose reply comes next. */
  fate: Fate | undefined;
}

/** Held bytes above which the source is paused, so that a sender feels a cut as it feels a full window. */
const MOST_HELD = 1 << 20;

/** Milliseconds that a slice of throttled bytes takes. */
const SLICE = 20;

/** Milliseconds for a client to read the bytes before a reset. */
const READ_WITHIN = 5;

interface Piece {
  readonly arrived: number;
  readonly what: Buffer | 'end' | 'reset';
}

/** One direction of one connection. */
export class TcpPipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #direction: 'requests' | 'replies';
  readonly #network: Network;
  readonly #sever: (by: Fate['by']) => void;
  #held: Piece[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When the throttle lets the next byte pass. */
  #paceUntil = 0;
  #full = false;
  #sourceEnded = false;
  #dead = false;
  #fate: Fate | undefined;

  constructor(
    [source, sink]: readonly [from: Socket, to: Socket],
    direction: 'requests' | 'replies',
    network: Network,
    sever: (by: Fate['by']) => void,
  ) {
    this.#source = source;
    this.#sink = sink;
    this.#direction = direction;
    this.#network = network;
    this.#sever = sever;
    source.on('data', (bytes) => this.#hold(bytes));
    source.on('end', () => this.#hold('end'));
    // It was reset, or could not be reached. The other side learns of that in turn.
    source.on('close', (failed) => {
      if (failed || !this.#sourceEnded) this.#hold('reset');
    });
    sink.on('drain', () => {
      this.#full = false;
      this.#pump();
    });
    sink.on('close', () => this.kill());
  }

  /** To be called when the conditions have changed. */
  reconsider(): void {
    this.#paceUntil = 0;
    this.#pump();
  }

  /** From now on everything vanishes here, without a word to the other side. */
  kill(): void {
    clearTimeout(this.#timer);
    this.#dead = true;
    this.#held = [];
    this.#source.resume();
  }

  get #cut(): boolean {
    const { cut } = this.#network.conditions;
    return cut === 'both' || cut === this.#direction;
  }

  #hold(what: Piece['what']): void {
    if (typeof what === 'string') this.#sourceEnded = true;
    if (this.#dead) return;
    this.#held.push({ arrived: monotonic(), what });
    if (typeof what !== 'string') this.#count(what.length);
    this.#pump();
  }

  #count(bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > MOST_HELD) this.#source.pause();
    else if (this.#heldBytes < MOST_HELD / 2 && this.#source.isPaused()) this.#source.resume();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (!this.#dead && !this.#full && !this.#cut) {
      const [piece] = this.#held;
      if (piece === undefined) return;
      const due = Math.max(piece.arrived + this.#network.conditions.delay, this.#paceUntil);
      const wait = due - monotonic();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(wait));
        return;
      }
      this.#held.shift();
      if (piece.what === 'end') this.#sink.end();
      else if (piece.what === 'reset') this.#sever('reset');
      else this.#pass(piece.what, piece.arrived);
    }
  }

  #pass(bytes: Buffer, arrived: number): void {
    if (this.#direction === 'replies' && this.#network.fate !== undefined) {
      this.#fate = this.#network.fate;
      this.#network.fate = undefined;
    }
    const { bytesPerSecond } = this.#network.conditions;
    const slice = Math.max(1, Math.floor((bytesPerSecond * SLICE) / 1_000));
    const now = bytes.subarray(0, Math.min(slice, this.#fate?.after ?? Infinity));
    const later = bytes.subarray(now.length);
    if (later.length > 0) this.#held.unshift({ arrived, what: later });
    this.#paceUntil = monotonic() + (now.length * 1_000) / bytesPerSecond;
    const fate = this.#fate && { ...this.#fate, after: this.#fate.after - now.length };
    this.#fate = fate;
    if (fate?.after === 0) {
      this.kill();
      this.#sink.write(now, () => this.#severSoon(fate.by));
      return;
    }
    this.#full = !this.#sink.write(now);
    this.#count(-now.length);
  }

  /** A client that finds a reset in the same moment as the bytes before it may take it for an end in good order. */
  #severSoon(by: Fate['by']): void {
    if (this.#sink.destroyed) return;
    this.#timer = setTimeout(() => setImmediate(() => this.#sever(by)), READ_WITHIN);
  }
}
