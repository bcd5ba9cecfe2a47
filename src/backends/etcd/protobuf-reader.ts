/** Ways in which a field is laid out. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const GROUP = 3;
const GROUP_END = 4;
const FIXED32 = 5;

const halves = new DataView(new ArrayBuffer(8));

/**
 * Reads a protobuf message. What does not fit in it throws: a reader must never say more than the bytes do.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */
export class ProtobufReader {
  readonly bytes: Buffer;
  at = 0;
  /** Of the last 64-bit number. */
  #low = 0;
  #high = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** The number and the layout of the next field: `number * 8 + layout`. */
  tag(): number {
    const tag = this.#small();
    if (tag < 8) throw new Error('a field without a number');
    return tag;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  int64(): bigint {
    this.#varint();
    // The usual way, without an intermediate bigint.
    if (this.#high < 0x200000) return BigInt(this.#high * 0x100000000 + this.#low);
    halves.setUint32(0, this.#high);
    halves.setUint32(4, this.#low);
    return halves.getBigInt64(0);
  }

  /** A 64-bit number in lower-case hex without leading zeros. */
  hex(): string {
    this.#varint();
    if (this.#high === 0) return this.#low.toString(16);
    return this.#high.toString(16) + this.#low.toString(16).padStart(8, '0');
  }

  /** Goes into a part, and returns where it ends. `end`: that of the part it lies in. */
  enter(end: number): number {
    const length = this.#small();
    const inner = this.at + length;
    if (inner > end) throw new Error('a part that ends behind the whole');
    return inner;
  }

  /** To be asked before each field of a part that ends there. */
  within(end: number): boolean {
    if (this.at > end) throw new Error('a field that ends behind its message');
    return this.at < end;
  }

  /** Over a field that is not known here. */
  skip(tag: number, end: number): void {
    switch (tag & 7) {
      case VARINT:
        this.#varint();
        return;
      case FIXED64:
        this.at += 8;
        return;
      case LENGTH:
        this.at = this.enter(end);
        return;
      case FIXED32:
        this.at += 4;
        return;
      case GROUP:
        this.#skipGroup(end);
        return;
      default:
        throw new Error('a field of no known layout');
    }
  }

  #skipGroup(end: number): void {
    for (let depth = 1; depth > 0; ) {
      if (!this.within(end)) throw new Error('a group without an end');
      const tag = this.tag();
      if ((tag & 7) === GROUP) depth++;
      else if ((tag & 7) === GROUP_END) depth--;
      else this.skip(tag, end);
    }
  }

  /** For tags and lengths, which have at most 32 bits. */
  #small(): number {
    const first = this.bytes[this.at];
    if (first !== undefined && first < 0x80) {
      this.at++;
      return first;
    }
    this.#varint();
    if (this.#high !== 0) throw new Error('a length beyond all bounds');
    return this.#low;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error('a number that is cut off');
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new Error('a number of more than 64 bits');
  }
}
