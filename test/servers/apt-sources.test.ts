import { describe, expect, it } from 'vitest';
import { type AptSource, debianSources, formatSource, parseDeb822, parseOneLine } from './apt-sources.ts';

const MIRROR = 'http://mirror.test/debian';

const source = (parts: Partial<AptSource> = {}): AptSource => ({
  uri: MIRROR,
  suites: ['one'],
  components: ['main'],
  signedBy: undefined,
  ...parts,
});

describe('the deb822 format', () => {
  it.each<[string, string, AptSource[]]>([
    [
      'a plain stanza',
      `Types: deb\nURIs: ${MIRROR}\nSuites: one one-updates\nComponents: main contrib\nSigned-By: /keys/a.gpg\n`,
      [source({ suites: ['one', 'one-updates'], components: ['main', 'contrib'], signedBy: '/keys/a.gpg' })],
    ],
    [
      'comments, odd case and two stanzas',
      `# first\ntypes: deb deb-src\n# http://old.test\nuris: ${MIRROR}\nsuites: one\ncomponents: main\n\n\nTypes: deb\nURIs: http://b.test/x\nSuites: two\nComponents: main`,
      [source(), source({ uri: 'http://b.test/x', suites: ['two'] })],
    ],
    [
      'fields over several lines',
      `Types: deb\nURIs: ${MIRROR}\n http://b.test/debian\nSuites: one\nComponents:\n main\n`,
      [source(), source({ uri: 'http://b.test/debian' })],
    ],
    [
      'an embedded key',
      `Types: deb\nURIs: ${MIRROR}\nSuites: one\nComponents: main\nSigned-By:\n -----BEGIN\n .\n abc=\n -----END\n`,
      [source({ signedBy: '-----BEGIN\n .\n abc=\n -----END' })],
    ],
    ['sources only', `Types: deb-src\nURIs: ${MIRROR}\nSuites: one\nComponents: main\n`, []],
    ['a disabled one', `Enabled: no\nTypes: deb\nURIs: ${MIRROR}\nSuites: one\nComponents: main\n`, []],
    ['nothing', '', []],
  ])('%s', (_, text, expected) => {
    expect(parseDeb822(text)).toEqual(expected);
  });
});

describe('the one-line format', () => {
  it.each<[string, string, AptSource[]]>([
    ['a plain line', `deb ${MIRROR} one main`, [source()]],
    [
      'a comment behind',
      `deb ${MIRROR} one main contrib # said so`,
      [source({ components: ['main', 'contrib'] })],
    ],
    [
      'options',
      `deb [ arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg ] ${MIRROR}  one\tmain`,
      [source({ signedBy: '/keys/a.gpg /keys/b.gpg' })],
    ],
    ['lines that do not count', `# deb ${MIRROR} one main\ndeb-src ${MIRROR} one main\n\n`, []],
    [
      'two lines',
      `deb ${MIRROR} one main\ndeb ${MIRROR} two main\n`,
      [source(), source({ suites: ['two'] })],
    ],
  ])('%s', (_, text, expected) => {
    expect(parseOneLine(text)).toEqual(expected);
  });
});

describe('the Debian sources of a machine', () => {
  const vendor = source({ uri: 'http://vendor.test/apt', signedBy: '/keys/vendor.gpg' });
  it.each<[string, AptSource[], AptSource[]]>([
    ['a mirror by its path', [source()], [source()]],
    ['no vendor with the same suite and component', [vendor], []],
    ['no other release', [source({ suites: ['two'] })], []],
    ['no other component', [source({ components: ['contrib'] })], []],
    [
      'no security mirror',
      [source({ uri: 'http://mirror.test/debian-security', suites: ['one-security'] })],
      [],
    ],
    ['no disc', [source({ uri: 'cdrom:[Debian]/debian' })], []],
    [
      'a mirror with another path, by its updates',
      [vendor, source({ uri: 'http://proxy.test/r', suites: ['one', 'one-updates'] })],
      [source({ uri: 'http://proxy.test/r', suites: ['one', 'one-updates'] })],
    ],
    [
      'the likeliest first',
      [source({ uri: 'http://a.test/debian' }), source({ signedBy: '/keys/debian-archive-keyring.gpg' })],
      [source({ signedBy: '/keys/debian-archive-keyring.gpg' }), source({ uri: 'http://a.test/debian' })],
    ],
  ])('%s', (_, sources, expected) => {
    expect(debianSources(sources, 'one')).toEqual(expected);
  });
});

it('writes a source that it reads back, a whole key included', () => {
  const embedded = source({ signedBy: '-----BEGIN\n .\n abc=\n -----END' });
  expect(parseDeb822(formatSource(embedded, 'two'))).toEqual([{ ...embedded, suites: ['two'] }]);
});
