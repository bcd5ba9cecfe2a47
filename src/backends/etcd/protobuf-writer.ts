/** Bytes. What one large request needed is not kept. */
const KEPT = 64 * 1024;

const halves = new DataView(new ArrayBuffer(8));

/** Of a 64-bit number. */
const MOST_BYTES = 10;
const scratch = new Uint8Array(MOST_BYTES);

/**
 * Writes a protobuf message from its last byte to its first, as etcd's own generated code does: the length of a part
 * stands before it, and is known once the part is written.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */
export class ProtobufWriter {
  #bytes = Buffer.allocUnsafeSlow(4 * 1024);
  #at = this.#bytes.length;

  /** How much there is by now: what a part is measured from. */
  get written(): number {
    return this.#bytes.length - this.#at;
  }

  /** Forgets what a message that came to nothing may have left. */
  start(): void {
    if (this.#bytes.length > KEPT) this.#bytes = Buffer.allocUnsafeSlow(KEPT);
    this.#at = this.#bytes.length;
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#at));
  }

  /** Up to 2 ** 53 - 1. */
  varint(value: number): void {
    if (value < 0x80) {
      this.#room(1);
      this.#bytes[--this.#at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    this.#room(size);
    this.#at -= size;
    let at = this.#at;
    let rest = value;
    // Bits are those of the lower 32, which is where these seven are.
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#bytes[at++] = (rest & 0x7f) | 0x80;
    this.#bytes[at] = rest;
  }

  int64(value: bigint): void {
    halves.setBigInt64(0, value);
    let high = halves.getUint32(0);
    let low = halves.getUint32(4);
    if (high < 0x200000) {
      this.varint(high * 0x100000000 + low);
      return;
    }
    // At most ten bytes, and here at least eight.
    this.#room(MOST_BYTES);
    let size = 0;
    for (; high > 0 || low >= 0x80; size++) {
      scratch[size] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    scratch[size] = low;
    for (; size >= 0; size--) this.#bytes[--this.#at] = scratch[size] as number;
  }

  bytes(bytes: ArrayLike<number>): void {
    this.#room(bytes.length);
    this.#at -= bytes.length;
    this.#bytes.set(bytes, this.#at);
  }

  /** As UTF-8. */
  text(text: string): void {
    const { length } = text;
    this.#room(length);
    const bytes = this.#bytes;
    let at = this.#at;
    // Keys are short and mostly ASCII: to call out for them would take longer.
    for (let n = length - 1; n >= 0; n--) {
      const code = text.charCodeAt(n);
      if (code > 0x7f) {
        this.bytes(Buffer.from(text));
        return;
      }
      bytes[--at] = code;
    }
    this.#at = at;
  }

  /** Makes the last byte of what was written last one larger: the end of all keys that begin with that. */
  next(length: number): void {
    const last = this.#at + length - 1;
    this.#bytes[last] = (this.#bytes[last] as number) + 1;
  }

  /** Closes a part that began when `from` was written. */
  head(tag: number, from: number): void {
    this.varint(this.written - from);
    this.varint(tag);
  }

  #room(size: number): void {
    if (this.#at >= size) return;
    const { written } = this;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#bytes.length + size));
    larger.set(this.#bytes.subarray(this.#at), larger.length - written);
    this.#bytes = larger;
    this.#at = larger.length - written;
  }
}
