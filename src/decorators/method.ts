import { refused } from '../contract/errors.ts';

/** Nothing, where a method's arguments begin with those that the key is made of. */
type Fits<Args extends readonly unknown[], Method> = Method extends (...args: infer Params) => unknown
  ? [Params] extends [[...Args, ...unknown[]]]
    ? unknown
    : { readonly 'the key is made of other arguments': never }
  : never;

type AnyMethod<Result> = (...args: never[]) => Promise<Result>;

/**
 * Decorates a method that returns a promise, and keeps its types, also where it has type parameters of its own. Works with
 * TypeScript's `experimentalDecorators`, and as a standard decorator.
 *
 * It may stand above other decorators or below them: what they have noted on the method (as `@Cron`, `@Get` and guards do with
 * `reflect-metadata`), its name and the number of its parameters stay. Who keeps the function itself calls it without the lock.
 */
export interface DecoratesMethod<Args extends readonly unknown[] = [], Result = unknown> {
  <Method extends AnyMethod<Result>>(
    target: object,
    name: string | symbol,
    // Only what is read: a descriptor also takes what it holds, and would fit no method with type parameters.
    descriptor: { readonly value?: Method & Fits<Args, Method> },
  ): void;
  <Method extends AnyMethod<Result>>(
    method: Method,
    // Beside the method, whose type parameters would else be lost.
    context: ClassMethodDecoratorContext & Fits<Args, Method>,
  ): Method;
}

type Call = (...args: unknown[]) => Promise<unknown>;

/**
 * @param decorator its name, for errors.
 * @param around what is done instead of the method: it gets the instance, the arguments and the method's own call.
 */
export function aroundMethod(
  decorator: string,
  around: (self: object, args: unknown[], proceed: () => Promise<unknown>) => Promise<unknown>,
): DecoratesMethod {
  const wrap = (method: unknown, name: string | symbol): Call => {
    if (typeof method !== 'function') {
      const hint = 'what makes a getter of it has to stand above';
      throw refused('invalid-option', `${decorator}: "${String(name)}" is not a method; ${hint}`);
    }
    const call = method as Call;
    async function wrapped(this: object, ...args: unknown[]): Promise<unknown> {
      return around(this, args, () => call.apply(this, args));
    }
    return likewise(call, wrapped, name);
  };
  const decorate = (first: unknown, second: unknown, descriptor?: TypedPropertyDescriptor<Call>): unknown => {
    if (descriptor === undefined) return wrap(first, (second as ClassMethodDecoratorContext).name);
    descriptor.value = wrap(descriptor.value, second as string | symbol);
    return undefined;
  };
  return decorate as DecoratesMethod;
}

/** Those that say what kind of function it is. */
const OF_EVERY_FUNCTION: ReadonlySet<string | symbol> = new Set(['prototype', 'arguments', 'caller']);

interface Metadata {
  getOwnMetadataKeys?(target: object): unknown[];
  getOwnMetadata?(key: unknown, target: object): unknown;
  defineMetadata?(key: unknown, value: unknown, target: object): void;
}

/** Everything that others have noted on a function, on the one that takes its place. */
function likewise(original: Call, replacement: Call, name: string | symbol): Call {
  for (const property of Reflect.ownKeys(original)) {
    if (OF_EVERY_FUNCTION.has(property)) continue;
    Object.defineProperty(replacement, property, Object.getOwnPropertyDescriptor(original, property) ?? {});
  }
  // Telemetry and frameworks look at a method's name. A function that was made elsewhere may have another one.
  Object.defineProperty(replacement, 'name', { value: String(name), configurable: true });
  // Of `reflect-metadata`, if somebody uses it: this library does not need it here.
  const { getOwnMetadataKeys, getOwnMetadata, defineMetadata } = Reflect as Metadata;
  for (const key of getOwnMetadataKeys?.(original) ?? []) {
    defineMetadata?.(key, getOwnMetadata?.(key, original), replacement);
  }
  return replacement;
}
