/** One entry of a repository's tree. */
export interface SourceEntry {
  /** Relative to the repository's root, with `/`. */
  readonly path: string;
  readonly size: number;
  /** Names the content for `read`: a git object id, or the path itself. */
  readonly id: string;
}

/** Where manifests and case files are read from: a commit, or a folder on disk. */
export interface Source {
  list(): Promise<readonly SourceEntry[]>;
  /** Contents by id, for the entries given. */
  read(entries: readonly SourceEntry[]): Promise<ReadonlyMap<string, Uint8Array>>;
}

/** Limits for what a repository may ask us to read; beyond them it is refused, not truncated. */
export const LIMITS = {
  /** Entries in the tree. */
  entries: 50_000,
  /** Bytes of one manifest. */
  manifestBytes: 1 << 20,
  /** Bytes of one case file. */
  caseFileBytes: 64 << 20,
  /** Bytes of all case files together, each counted for every suite that reads it: parsed, they take ten times that. */
  totalCaseFileBytes: 64 << 20,
  /** Bytes of all manifests together. */
  totalManifestBytes: 32 << 20,
  /** Objects in one repository: as many as the inventory in its status holds. */
  objects: 4000,
  /** Errors that are kept. */
  errors: 1000,
  /** Folders deep. */
  depth: 32,
} as const;
