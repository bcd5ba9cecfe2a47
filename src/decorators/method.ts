/** Nothing, where a method's arguments begin with those that the key is made of. */
type Fits<Args extends readonly unknown[], Params> = [Params] extends [[...Args, ...unknown[]]]
  ? unknown
  : { readonly 'the key is made of other arguments': never };

/**
 * Decorates a method that returns a promise, and keeps its types. Works with TypeScript's `experimentalDecorators`, and as
 * a standard decorator.
 */
export interface DecoratesMethod<Args extends readonly unknown[] = [], Result = unknown> {
  <Params extends unknown[], Return extends Promise<Result>>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<(...args: Params) => Return> & Fits<Args, Params>,
  ): void;
  <This, Params extends unknown[], Return extends Promise<Result>>(
    method: ((this: This, ...args: Params) => Return) & Fits<Args, Params>,
    context: ClassMethodDecoratorContext,
  ): (this: This, ...args: Params) => Return;
}

type Call = (...args: unknown[]) => Promise<unknown>;

/** @param around what is done instead of the method: it gets the instance, the arguments and the method's own call. */
export function aroundMethod(
  around: (self: object, args: unknown[], proceed: () => Promise<unknown>) => Promise<unknown>,
): DecoratesMethod {
  const wrap = (method: Call, name: string | symbol): Call => {
    async function wrapped(this: object, ...args: unknown[]): Promise<unknown> {
      return around(this, args, () => method.apply(this, args));
    }
    // Telemetry and frameworks look at a method's name.
    return Object.defineProperty(wrapped, 'name', { value: String(name), configurable: true });
  };
  const decorate = (first: unknown, second: unknown, descriptor?: TypedPropertyDescriptor<Call>): unknown => {
    if (descriptor === undefined) return wrap(first as Call, (second as ClassMethodDecoratorContext).name);
    const { value } = descriptor;
    if (typeof value !== 'function') throw new TypeError(`${String(second)} is not a method`);
    descriptor.value = wrap(value, second as string | symbol);
    return undefined;
  };
  return decorate as DecoratesMethod;
}
