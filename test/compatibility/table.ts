import type { Row } from './row.ts';

const cells = (values: readonly string[]): string => `| ${values.join(' | ')} |`;

/** The tables of `docs/compatibility.md`, by their headings, as the rows have them. */
export function tablesOf(rows: readonly Row[]): Map<string, string> {
  const tables = new Map<string, string>();
  for (const table of new Set(rows.map((row) => row.table))) {
    const own = rows.filter((row) => row.table === table);
    const columns = [...new Set(own.map(({ column }) => column))];
    const lines = [...new Set(own.map(({ line }) => line))];
    const says = (line: string, column: string) =>
      own.find((row) => row.line === line && row.column === column)?.says ?? '';
    tables.set(
      table,
      [
        cells(['', ...columns]),
        cells(['---', ...columns.map(() => '---')]),
        ...lines.map((line) => cells([line, ...columns.map((column) => says(line, column))])),
      ].join('\n'),
    );
  }
  return tables;
}

/** What of a document is not as the rows have it, each as a sentence. */
export function differences(document: string, rows: readonly Row[]): string[] {
  const tables = tablesOf(rows);
  const written = new Map<string, string>();
  for (const section of document.split('\n## ').slice(1)) {
    const found = section.match(/^\|.*(?:\n\|.*)*/gm);
    if (found) written.set(section.split('\n', 1)[0] ?? '', found.join('\n\n'));
  }
  const headings = new Set([...tables.keys(), ...written.keys()]);
  return [...headings]
    .filter((heading) => tables.get(heading) !== written.get(heading))
    .map(
      (heading) =>
        `The table "${heading}" has to be:\n\n${tables.get(heading) ?? '(nothing: no row makes it)'}\n`,
    );
}
