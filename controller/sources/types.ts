/** What authenticates requests to a source. Sent to hosts that its Secret names, to no other. */
export type SourceCredentials =
  | { readonly type: "bearer"; readonly token: string }
  | {
      readonly type: "s3";
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      readonly sessionToken?: string;
    };

export interface SourceAccess {
  readonly credentials?: SourceCredentials;
  /** As `parseAllowedHosts` returns them; credentials without them go nowhere. */
  readonly allowedHosts?: readonly string[];
  /** Base URL of an S3-compatible server, or of a mirror of the Hub. */
  readonly endpoint?: string;
  /** Of S3; us-east-1 unless given, which S3-compatible servers take. */
  readonly region?: string;
}

/** A file outside, as it is at this moment: what is read later is this or an error. */
export interface PinnedFile {
  /** Names the file in messages and by its extension its kind; relative, without `..`. */
  readonly path: string;
  readonly url: string;
  readonly bytes?: number;
  /** Strong validator of HTTP, with its quotes. */
  readonly etag?: string;
  /** SHA-256 as `sha256:…`, where the source tells it. */
  readonly digest?: string;
  /** Git's object id, where the source tells that instead: SHA-1 over `blob <size>\0` and the content. */
  readonly gitOid?: string;
}

export interface PinnedSource {
  /** The reference with what moves replaced: a commit for a branch. */
  readonly resolved: string;
  /** Sorted by path. */
  readonly files: readonly PinnedFile[];
}

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** More is refused before it is read, or while. */
  readonly maxBytes: number;
  /** First pause before going on after a broken connection, doubling: 500 ms. */
  readonly retryDelayMs?: number;
}
