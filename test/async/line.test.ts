import { expect, test } from 'vitest';
import { Line, type Waiter } from '../../src/async/line.ts';

class Person implements Waiter<Person> {
  inLine?: boolean;
  before?: Person | undefined;
  behind?: Person | undefined;
  readonly name: number;

  constructor(name: number) {
    this.name = name;
  }
}

const names = (line: Line<Person>): number[] => line.reversed().map(({ name }) => name);

test('a line does what an array would, whoever leaves', () => {
  const line = new Line<Person>();
  const people = Array.from({ length: 8 }, (_, name) => new Person(name));
  let [model, seed]: [Person[], number] = [[], 7];
  const draw = (below: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let step = 0; step < 1_000; step++) {
    const person = people[draw(people.length)] as Person;
    const stands = model.includes(person);
    if (stands || draw(3) === 0) {
      expect(line.delete(person)).toBe(stands);
      model = model.filter((other) => other !== person);
    } else {
      line.push(person);
      model.push(person);
    }
    expect([line.first, line.length]).toEqual([model[0], model.length]);
    expect(names(line)).toEqual(model.map(({ name }) => name).toReversed());
  }
});
