import { describe, expect, test } from 'vitest';
import { patched } from './patch.ts';

const text = `
class Door {
  open(): void {
    if (this.#locked || this.#clock.now() >= this.#until) return;
    this.#turn(
      left,
      right,
    );
  }

  close(): void {
    if (this.#locked) return;
  }
}
class Window {
  close(): void {
    const shut = 'if (a)';
  }
}
`;

const patch = (find: string | RegExp, put = 'X', place = 'open'): string =>
  patched(text, { file: 'door.ts', in: place, find, put });

describe('a patch', () => {
  test('changes one place, and nothing else', () => {
    expect(patch('return;', 'throw 1;')).toBe(text.replace('return;', 'throw 1;'));
    expect(patch('return;', '', 'Door.close')).toBe(
      text.replace('if (this.#locked) return;', 'if (this.#locked) '),
    );
  });

  test('is the same for code that was laid out anew', () => {
    const expected = text.replace(/this\.#turn\([^)]*\)/, 'X');
    expect(patch('this.#turn(left, right)')).toBe(expected);
    expect(patch('this . #turn ( left,\nright, )')).toBe(expected);
    expect(patch('this.#clock.now()>=this.#until')).toContain('#locked || X)');
  });

  test('fits whole words only', () => {
    expect(() => patch('#lock')).toThrow('door.ts: 0 times in Door.open: #lock\n');
    expect(() => patch('eturn')).toThrow('0 times');
    expect(() => patch('re turn')).toThrow('0 times');
    expect(() => patch("'if(a)'", 'X', 'Window.close')).toThrow('0 times');
  });

  test('may be a pattern, and say again what it found', () => {
    expect(patch(/now\(\) (>=) this/, 'now() + 1 $1 this')).toContain('now() + 1 >= this.#until');
    expect(patch('left', '$&, $&')).toContain('left, left,');
  });

  test('that fits nowhere, twice, or in a place that is not one says what is there', () => {
    expect(() => patch('this.#gone')).toThrow(
      'if (this.#locked || this.#clock.now() >= this.#until) return;',
    );
    expect(() => patch(/this/)).toThrow('door.ts: 4 times in Door.open: /this/');
    expect(() => patch('return', '', 'shut')).toThrow('door.ts: there is no shut');
    expect(() => patch('return', '', 'close')).toThrow(
      'door.ts: close may be any of Door.close, Window.close',
    );
  });
});
