import { parseAst } from 'vitest/node';

/** A function, a member of a class or of an object, or a constant of a module: from its name on to its end. */
export interface Place {
  /** With what it is in, from the outside: `LocalQueue.#handOn`. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [part: string]: unknown;
}

const FUNCTIONS = /^(?:Arrow)?FunctionExpression$|^FunctionDeclaration$/;

/** All that has a name and a body, in the order in which they begin. Throws what the parser says of a text that is none. */
export function placesIn(text: string): Place[] {
  const places: Place[] = [];
  const walk = (node: Node, path: readonly string[], top: boolean): void => {
    const name = nameOf(node, top);
    const inside = name === undefined ? path : [...path, name];
    if (name !== undefined) places.push({ name: inside.join('.'), start: node.start, end: node.end });
    const isTop = top && !FUNCTIONS.test(node.type) && node.type !== 'ClassBody';
    for (const part of Object.values(node).flat()) if (isNode(part)) walk(part, inside, isTop);
  };
  walk(parseAst(text, { lang: 'ts' }) as unknown as Node, [], true);
  return places;
}

/** The places of that name: `#handOn` is enough where there is one, `LocalQueue.#handOn` where there are more. */
export function placesNamed(text: string, name: string): Place[] {
  return placesIn(text).filter((place) => place.name === name || place.name.endsWith(`.${name}`));
}

/** What is declared without a body is not there to be changed. */
function nameOf(node: Node, top: boolean): string | undefined {
  const value = (node.value ?? node.init) as Node | null | undefined;
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return identifier(node.id);
    case 'MethodDefinition':
      return value?.type === 'FunctionExpression' ? identifier(node.key) : undefined;
    case 'PropertyDefinition':
      return identifier(node.key);
    case 'Property':
    case 'VariableDeclarator':
      return value != null && (top || FUNCTIONS.test(value.type))
        ? identifier(node.key ?? node.id)
        : undefined;
    default:
      return undefined;
  }
}

function identifier(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === 'PrivateIdentifier') return `#${node.name}`;
  if (node.type === 'Literal') return String(node.value);
  return node.type === 'Identifier' ? String(node.name) : undefined;
}

function isNode(part: unknown): part is Node {
  return typeof part === 'object' && part !== null && typeof (part as Node).type === 'string';
}
