/** One entry of a repository's tree. */
export interface SourceEntry {
  /** Relative to the repository's root, with `/`. */
  readonly path: string;
  readonly size: number;
  /** Names the content for `read`: a git object id, or the path itself. */
  readonly id: string;
  /** A symlink or a submodule in the place of a manifest: never read, but not overlooked either. */
  readonly link?: true;
}

/** Whether a file of this name may hold manifests. */
export const isManifestName = (path: string): boolean => /\.ya?ml$/.test(path);

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
  /** Bytes of a YAML file that is no manifest up to which it is looked through for a mention of us. */
  searchedBytes: 8 << 20,
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
