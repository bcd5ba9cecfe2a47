import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One place to get binary packages from, as written in the machine's own apt configuration. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** Paths, fingerprints, or a whole key whose further lines start with a space. */
  readonly signedBy: string | undefined;
}

const DEBIAN_SUITES = ['stable', 'oldstable', 'testing', 'unstable', 'sid'];

/** Reads `sources.list` and everything in `sources.list.d`. */
export function readAptSources(aptFolder: string): AptSource[] {
  const parts = join(aptFolder, 'sources.list.d');
  const files = [join(aptFolder, 'sources.list')];
  if (existsSync(parts)) files.push(...readdirSync(parts).map((name) => join(parts, name)));
  return files.filter(existsSync).flatMap((file) => {
    if (file.endsWith('.sources')) return parseDeb822(readFileSync(file, 'utf8'));
    return file.endsWith('.list') ? parseOneLine(readFileSync(file, 'utf8')) : [];
  });
}

/** Parses the deb822 format, one source per URI. */
export function parseDeb822(text: string): AptSource[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .split(/\n[ \t]*\n/)
    .flatMap((stanza) => {
      const fields = parseFields(stanza);
      if (!words(fields.get('types')).includes('deb')) return [];
      if (/^(no|false|without|off|disable|0)$/i.test(fields.get('enabled') ?? '')) return [];
      return words(fields.get('uris')).map((uri) => ({
        uri,
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        signedBy: fields.get('signed-by'),
      }));
    });
}

/** Parses the format with one source per line. */
export function parseOneLine(text: string): AptSource[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    const [, options, uri, suite, components] = match ?? [];
    if (uri === undefined || suite === undefined) return [];
    const signedBy = /(?:^|\s)signed-by=(\S+)/i.exec(options ?? '')?.[1]?.replaceAll(',', ' ');
    return [{ uri, suites: [suite], components: words(components), signedBy }];
  });
}

/**
 * The sources that serve Debian itself in this release, the likeliest first. Vendors too name a suite after the
 * release, and some a component `main`; they show by having no `-updates` beside it, no `debian` at the end of the
 * path, and a key of their own. Nothing is known by its host name.
 */
export function debianSources(sources: readonly AptSource[], codename: string): AptSource[] {
  const score = (source: AptSource): number => {
    const sameUri = sources.filter(({ uri }) => uri === source.uri).flatMap(({ suites }) => suites);
    const hasUpdates = sameUri.some((suite) => suite.endsWith('-updates'));
    const isNamedDebian = /\/debian\/?$/.test(source.uri);
    return (
      (hasUpdates ? 1 : 0) + (isNamedDebian ? 1 : 0) + (source.signedBy?.includes('debian-archive') ? 1 : 0)
    );
  };
  return sources
    .filter(({ components }) => components.includes('main'))
    .filter(({ suites }) => suites.some((suite) => suite === codename || DEBIAN_SUITES.includes(suite)))
    .filter(({ uri }) => !/^cdrom:|security/.test(uri))
    .filter((source) => score(source) > 0)
    .sort((one, other) => score(other) - score(one));
}

/** The same place, but for one other suite, in the deb822 format. */
export function formatSource(source: AptSource, suite: string): string {
  const signedBy = source.signedBy === undefined ? '' : `Signed-By: ${source.signedBy}\n`;
  return `Types: deb\nURIs: ${source.uri}\nSuites: ${suite}\nComponents: main\n${signedBy}`;
}

function parseFields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const [, name = '', value = ''] of stanza.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm)) {
    fields.set(name.toLowerCase(), value.trim());
  }
  return fields;
}

function words(text: string | undefined): string[] {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}
