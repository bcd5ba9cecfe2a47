import { messageOf } from '../async/realms.ts';
import { invalid } from '../contract/options.ts';

/** The part of the Standard Schema interface (https://standardschema.dev) that is needed: of Zod, Valibot, ArkType and others. */
export interface AttributesSchema<A> {
  readonly '~standard': {
    validate(
      value: unknown,
    ):
      | { readonly value: A; readonly issues?: undefined }
      | { readonly issues: readonly { readonly message: string }[] }
      | Promise<unknown>;
  };
}

/** Attributes as the schema makes them; or what is wrong with them, in words. */
export type CheckedAttributes<A> =
  | { readonly value: A; readonly problem?: undefined }
  | { readonly problem: string };

export type AttributesCheck<A> = (attributes: unknown) => CheckedAttributes<A>;

export function attributesCheck<A>(schema: AttributesSchema<A> | undefined): AttributesCheck<A> {
  return (attributes) => {
    if (schema === undefined) return { value: attributes as A };
    const result = validated(schema, attributes);
    if (result instanceof Error)
      return { problem: `has attributes at which the schema fails: ${result.message}` };
    if (result instanceof Promise)
      throw invalid('attributes', 'is a schema that answers later; it must answer at once');
    if (result.issues === undefined) return { value: result.value };
    return {
      problem: `has attributes that do not fit: ${result.issues.map(({ message }) => message).join('; ')}`,
    };
  };
}

function validated<A>(schema: AttributesSchema<A>, attributes: unknown) {
  try {
    return schema['~standard'].validate(attributes);
  } catch (error) {
    return new Error(messageOf(error));
  }
}
