import { Ajv, type ValidateFunction } from "ajv";
import addFormatsModule from "ajv-formats";

export type Json = Record<string, unknown>;

export function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export interface Exchange {
  readonly method: string;
  /** Decoded segments are matched; no query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined for an empty body. */
  readonly body: unknown;
}

export interface Operation {
  readonly id: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** What the request does that the document does not allow; empty when it is right. */
  readonly problems: readonly string[];
  /** Schema of an answer with that status; undefined when the document has none for it. */
  answerSchema(status: number): Json | undefined;
  /** What an answer lacks; empty when it is right. */
  checkAnswer(status: number, body: unknown): string[];
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: Json;
}

interface Compiled {
  readonly id: string;
  readonly method: string;
  readonly path: RegExp;
  readonly parameters: readonly Parameter[];
  readonly required: boolean;
  readonly bodySchema: Json | undefined;
  readonly answers: Readonly<Record<string, Json | undefined>>;
}

/** GitHub leaves most errors out of its document; they all have this shape. */
const BASIC_ERROR: Json = { $ref: "#/components/schemas/basic-error" };

// The package is CommonJS; its function is the default export's default under node's rules.
const addFormats = addFormatsModule.default ?? addFormatsModule;

/**
 * Checks requests and answers against an OpenAPI 3.0 document. Stricter than the document in one way: a
 * request field or query parameter that it does not name is a problem, since GitHub ignores what it does
 * not know and a misspelt field would go unseen.
 */
export class OpenApi {
  readonly #document: Json;
  readonly #operations: readonly Compiled[];
  readonly #ajv = new Ajv({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Json) {
    this.#document = document;
    addFormats(this.#ajv);
    // OpenAI's name for seconds since the epoch.
    this.#ajv.addFormat("unixtime", { type: "number", validate: Number.isInteger });
    this.#ajv.addFormat("repo.nwo", /^[^/]+\/[^/]+$/);
    this.#ajv.addSchema({ ...(toJsonSchema(document) as Json), $id: "openapi" });
    this.#operations = Object.entries(document.paths as Record<string, Json>).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => this.#compile(method, path, operation as Json)),
    );
  }

  get operationIds(): string[] {
    return this.#operations.map((operation) => operation.id);
  }

  /** Follows `$ref` once or more. */
  resolve(node: unknown): Json {
    let found = node;
    while (isRecord(found) && typeof found.$ref === "string") {
      found = found.$ref
        .replace("#/", "")
        .split("/")
        .reduce<unknown>((at, part) => (isRecord(at) ? at[part] : undefined), this.#document);
    }
    if (!isRecord(found)) throw new Error("the document refers to nothing");
    return found;
  }

  /** The operation a request is for; undefined when the document has none. */
  match(exchange: Exchange): Operation | undefined {
    for (const operation of this.#operations) {
      const match = operation.method === exchange.method ? operation.path.exec(exchange.path) : null;
      if (!match) continue;
      const parameters = Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
      );
      return {
        id: operation.id,
        parameters,
        problems: [
          ...this.#checkParameters(operation, parameters, exchange.query),
          ...this.#checkBody(operation, exchange.body),
        ],
        answerSchema: (status) => operation.answers[status],
        checkAnswer: (status, body) => this.#checkAnswer(operation, status, body),
      };
    }
    return undefined;
  }

  #compile(method: string, path: string, operation: Json): Compiled {
    const pattern = path.replaceAll(".", "\\.").replace(/\{(\w+)\}/g, "(?<$1>[^/]+)");
    const content = (part: unknown): Json | undefined => {
      const json = (part as { content?: Record<string, { schema: Json }> } | undefined)?.content;
      return json?.["application/json"]?.schema;
    };
    const body = operation.requestBody ? this.resolve(operation.requestBody) : undefined;
    const answers = Object.entries((operation.responses ?? {}) as Json).map(
      ([status, answer]) => [status, content(this.resolve(answer)) ?? {}] as const,
    );
    return {
      id: String(operation.operationId),
      method: method.toUpperCase(),
      path: new RegExp(`^${pattern}$`),
      parameters: ((operation.parameters ?? []) as unknown[]).map(
        (parameter) => this.resolve(parameter) as unknown as Parameter,
      ),
      required: body?.required === true,
      bodySchema: content(body),
      answers: Object.fromEntries(answers),
    };
  }

  #checkParameters(operation: Compiled, inPath: Json, query: URLSearchParams): string[] {
    const problems: string[] = [];
    for (const key of query.keys()) {
      if (!operation.parameters.some((parameter) => parameter.in === "query" && parameter.name === key)) {
        problems.push(`query parameter ${key} is not in ${operation.id}`);
      }
    }
    for (const parameter of operation.parameters) {
      const text = parameter.in === "path" ? inPath[parameter.name] : query.get(parameter.name);
      if (typeof text !== "string") {
        if (parameter.required) problems.push(`${parameter.in} parameter ${parameter.name} is missing`);
        continue;
      }
      const { type } = this.resolve(parameter.schema);
      const value = (type === "integer" || type === "number") && text.trim() !== "" ? Number(text) : text;
      const key = `${operation.id} ${parameter.in} ${parameter.name}`;
      problems.push(...this.#validate(key, parameter.schema, value, parameter.name));
    }
    return problems;
  }

  #checkBody(operation: Compiled, body: unknown): string[] {
    if (!operation.bodySchema) return body === undefined ? [] : [`${operation.id} takes no body`];
    if (body === undefined) return operation.required ? [`${operation.id} needs a body`] : [];
    return this.#validate(`${operation.id} body`, closed(operation.bodySchema), body, "body");
  }

  #checkAnswer(operation: Compiled, status: number, body: unknown): string[] {
    const schema = operation.answers[status] ?? (status >= 400 ? BASIC_ERROR : undefined);
    if (!schema) return [`${operation.id} does not answer ${status}`];
    if (Object.keys(schema).length === 0) {
      return body === undefined ? [] : [`${operation.id} answers ${status} without a body`];
    }
    return this.#validate(`${operation.id} ${status}`, schema, body, "answer");
  }

  #validate(key: string, schema: Json, value: unknown, name: string): string[] {
    let validate = this.#validators.get(key);
    if (!validate) {
      validate = this.#ajv.compile(toJsonSchema(schema) as Json);
      this.#validators.set(key, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => {
      const what = "additionalProperty" in error.params ? ` (${error.params.additionalProperty})` : "";
      return `${name}${error.instancePath} ${error.message}${what}`;
    });
  }
}

/** OpenAPI 3.0's `nullable` as JSON Schema, and references made absolute. */
function toJsonSchema(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(toJsonSchema);
  if (!isRecord(node)) return node;
  const { nullable, ...rest }: Json = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, toJsonSchema(value)]),
  );
  if (typeof rest.$ref === "string" && rest.$ref.startsWith("#/")) rest.$ref = `openapi${rest.$ref}`;
  // As OpenAPI 3.0 and draft 4 say it.
  if (rest.exclusiveMinimum === true) {
    rest.exclusiveMinimum = rest.minimum;
    delete rest.minimum;
  }
  // A property called "nullable" is a schema, the keyword is a boolean.
  if (typeof nullable === "boolean") return nullable ? { anyOf: [{ type: "null" }, rest] } : rest;
  return nullable === undefined ? rest : { ...rest, nullable };
}

/** A request object names all its fields, unless it says that others may come. */
function closed(node: unknown): Json {
  const close = (at: unknown): unknown => {
    if (Array.isArray(at)) return at.map(close);
    if (!isRecord(at)) return at;
    const copy = Object.fromEntries(Object.entries(at).map(([key, value]) => [key, close(value)]));
    const plain = isRecord(copy.properties) && !("allOf" in copy || "anyOf" in copy || "oneOf" in copy);
    return plain && !("additionalProperties" in copy) ? { ...copy, additionalProperties: false } : copy;
  };
  return close(node) as Json;
}
