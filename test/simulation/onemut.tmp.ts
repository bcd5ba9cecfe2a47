import { loadMutant, mutants } from './mutants.ts';
import { simulate } from './simulate.ts';
const names = Object.keys(mutants).filter((n) => n.startsWith('a put without an answer') || n.startsWith('a reset of the store'));
for (const name of names) {
  const subject = await loadMutant(name);
  let found: string[] = [];
  for (let seed = 1; seed <= 2000 && found.length < 2; seed++) {
    const o = await simulate(subject, seed);
    if (o.violations.length) found.push(`${seed}: ${o.violations[0]!.rule} ${o.violations[0]!.detail}`);
  }
  console.log(name, found);
}
