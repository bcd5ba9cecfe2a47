/** What a reader of a document does with one of its sections, in the order in which it stands there. */
export type Step =
  | { readonly name: 'command'; readonly words: readonly string[] }
  | { readonly name: 'save'; readonly file: string; readonly content: string };

/** Runs from the heading to the next one of its own rank or above. */
export function sectionOf(document: string, title: string): string {
  const [, section] = document.split(`\n## ${title}\n`);
  if (section === undefined) throw new Error(`there is no section "${title}"`);
  return section.split('\n## ', 1)[0] as string;
}

/**
 * The lines of a section's `sh` blocks are typed; other blocks are saved under the name in backquotes that the text before them
 * ends with. Those joined by `&&` count as several.
 */
export function stepsOf(section: string): Step[] {
  const steps: Step[] = [];
  let before = 0;
  for (const block of section.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const [whole, language, content = ''] = block;
    if (language === 'sh') steps.push(...commandsOf(content));
    else steps.push({ name: 'save', file: fileOf(section.slice(before, block.index)), content });
    before = block.index + whole.length;
  }
  return steps;
}

function commandsOf(block: string): Step[] {
  const lines = block.split('\n').map((line) => line.replace(/\s+#.*/, '').trim());
  return lines
    .filter((line) => line !== '')
    .flatMap((line) => line.split(/\s+&&\s+/))
    .map((command) => ({ name: 'command', words: command.split(/\s+/) }));
}

function fileOf(text: string): string {
  const [file] = [...text.matchAll(/`([\w-]+\.\w+)`/g)].map(([, name]) => name).slice(-1);
  if (file === undefined) throw new Error(`a block that no text names a file for: ${text.trim().slice(-80)}`);
  return file;
}
