import { describe, expect, test } from 'vitest';
import { placesIn, placesNamed } from './places.ts';

const names = (text: string): string[] => placesIn(text).map(({ name }) => name);

const of = (text: string, name: string): string[] =>
  placesNamed(text, name).map(({ start, end }) => text.slice(start, end));

describe('places', () => {
  test('of a class: its members, with what is private, static or asked like a field', () => {
    const text = `export class Door {
      readonly width: number = 1;
      static #made = 0;
      constructor(readonly key: string) {}
      get open(): boolean { return false; }
      async #close(): Promise<void> {}
      readonly onOpen = (): void => {};
    }`;
    expect(names(text)).toEqual(
      ['', '.width', '.#made', '.constructor', '.open', '.#close', '.onOpen'].map((name) => `Door${name}`),
    );
  });

  test('of a module: functions, constants and the methods of an object', () => {
    const text = `const LIMIT = 5;
      export function take(n: number): void { const inner = () => n; const sum = n + 1; }
      export const race: Strategy = { async attempt(a) { return a; }, record: (path) => path };`;
    expect(names(text)).toEqual(['LIMIT', 'take', 'take.inner', 'race', 'race.attempt', 'race.record']);
  });

  test('a function inside of another has a name of its own', () => {
    const text = 'function outer() { async function put() {} return { put }; }';
    expect(of(text, 'outer.put')).toEqual(['async function put() {}']);
  });

  test('what is only declared is not there', () => {
    const text = `abstract class A { abstract go(): void; put(a: string): void; put(a: string) { this.go(); } }
      export declare function far(): void; interface I { near(): void }`;
    expect(names(text)).toEqual(['A', 'A.put']);
    expect(of(text, 'put')).toEqual(['put(a: string) { this.go(); }']);
  });

  test('braces in strings, templates, comments and patterns are no braces', () => {
    const body = `go() { // {
      /* { */ return /[}]/.test("}") ? \`}\${ \`{\${"}"}\` }\` : '{';
    }`;
    expect(of(`class A { ${body} next() {} }`, 'go')).toEqual([body]);
  });

  test('a name is whole', () => {
    const text = 'class A { #go() {} go() {} ago() {} } class B { go() {} }';
    expect(of(text, 'A.go')).toEqual(['go() {}']);
    expect(placesNamed(text, 'go').map(({ name }) => name)).toEqual(['A.go', 'B.go']);
    expect(of(text, '#go')).toEqual(['#go() {}']);
  });

  test('a text that is no module is told', () => {
    expect(() => placesIn('function {')).toThrow(/parse/i);
  });
});
