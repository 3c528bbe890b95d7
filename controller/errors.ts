/** Where in a git repository or file an error was found; 1-based. */
export interface SourceLocation {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  /** The field's path in the document, e.g. `spec.messages[0].content`. */
  readonly field?: string;
}

export interface ErrorDetails {
  /** What the reader can do about it, as a sentence. */
  readonly hint?: string;
  readonly location?: SourceLocation;
  readonly cause?: unknown;
  /** A retry with the same input may succeed (network, 429, 5xx); never true for bad input. */
  readonly retryable?: boolean;
}

/**
 * An error with a stable code. `code` is CamelCase so that it can serve as a condition's `reason`;
 * `message` says what happened and never contains a secret.
 */
export class SlipwayError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly location: SourceLocation | undefined;
  readonly retryable: boolean;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "SlipwayError";
    this.code = code;
    this.hint = details.hint;
    this.location = details.location;
    this.retryable = details.retryable ?? false;
  }
}

/** `file:line:column`, with what is unknown left out. */
export function formatLocation(at: SourceLocation): string {
  return [at.file, at.line, at.line === undefined ? undefined : at.column]
    .filter((part) => part !== undefined)
    .join(":");
}

/** One line for a person: location, message, hint. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts = [error.message];
  if (error instanceof SlipwayError) {
    if (error.location) parts.unshift(`${formatLocation(error.location)}:`);
    if (error.hint) parts.push(`(${error.hint})`);
  }
  return parts.join(" ");
}
