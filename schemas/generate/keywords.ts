/** What to write instead of a keyword that a structural schema cannot have. */
export const BANNED: Readonly<Record<string, string>> = {
  $ref: "a reference cannot be resolved in a CRD",
  anyOf:
    "a union or nullable() has no structural form; use an enum discriminator, optional members and a rule",
  oneOf:
    "a discriminated union has no structural form; use an enum discriminator, optional members and a rule",
  allOf: "an intersection or several patterns have no structural form; merge them into one",
  not: "write a rule instead",
  prefixItems: "a tuple has no structural form; use an object",
  patternProperties: "use z.record or a list with keys",
  uniqueItems: 'forbidden by the API server; use .meta({"x-kubernetes-list-type": "set"})',
};

export const ANNOTATIONS: ReadonlySet<string> = new Set(["description", "default"]);

/** Known everywhere; for editors only. */
export const IGNORED: ReadonlySet<string> = new Set(["type", "title", "examples"]);

const NUMERIC = [
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "format",
  "enum",
  "const",
  "x-kubernetes-validations",
];

/** What a schema of each type may say. Anything else is an error, so that nothing is lost in silence. */
export const KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  object: [
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
  ],
  array: [
    "items",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
  ],
  string: ["minLength", "maxLength", "pattern", "format", "enum", "const", "x-kubernetes-validations"],
  integer: NUMERIC,
  number: NUMERIC,
  boolean: ["enum", "const", "x-kubernetes-validations"],
};

const TEXT_FORMATS = "byte cidr date date-time duration email hostname ipv4 ipv6 mac password uri uuid";

/**
 * Formats that the API server checks (apiextensions-apiserver/pkg/apiserver/validation/formats.go);
 * it ignores others without a word.
 */
export const FORMATS: Readonly<Record<string, readonly string[]>> = {
  string: TEXT_FORMATS.split(" "),
  integer: ["int32", "int64"],
  number: ["float", "double"],
};

/** Formats that bound the text's length by themselves. */
export const BOUNDED_FORMATS: ReadonlySet<string> = new Set([
  "date",
  "date-time",
  "ipv4",
  "ipv6",
  "mac",
  "uuid",
]);
