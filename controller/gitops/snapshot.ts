import { setImmediate } from "node:timers/promises";
import type { DatasetSpec } from "../../schemas/dataset.ts";
import type { EvalCase, EvalSuiteSpec } from "../../schemas/eval-suite.ts";
import type { CustomResource } from "../../schemas/kind.ts";
import type { PromptTemplateSpec } from "../../schemas/prompt-template.ts";
import type { SlipwayError } from "../errors.ts";
import { loadCases } from "../eval/cases.ts";
import { lintPrompt } from "../eval/template/lint.ts";
import { blobDigest } from "../graph/canonical.ts";
import { buildGraph, edgeKey, nodeKey, type RevisionGraph } from "../graph/graph.ts";
import { caseFileFault } from "./case-guard.ts";
import {
  fieldPath,
  type LoadError,
  type Manifest,
  mentionsUs,
  parseFieldPath,
  parseManifests,
} from "./manifest.ts";
import { isManifestName, LIMITS, type Source, type SourceEntry } from "./source.ts";

/** Everything that one commit says, checked as far as that goes without a cluster. */
export interface Snapshot {
  /** Valid objects, with case files pinned by digest. */
  readonly objects: readonly CustomResource<unknown>[];
  readonly graph: RevisionGraph;
  readonly errors: readonly LoadError[];
  /** `Kind/name` of objects that cannot be applied, each with the reason: invalid, or made from something invalid. */
  readonly held: ReadonlyMap<string, string>;
  /** Something could not be read, so that what is absent may only be unreadable: nothing may be pruned. */
  readonly incomplete: boolean;
  /** Such a file where there is no error that names it: too large, and not known to be something else. */
  readonly unread?: string;
  /** Cases of each valid suite, by suite name. */
  readonly cases: ReadonlyMap<string, readonly EvalCase[]>;
  /** Contents that objects refer to by digest; they go to the blob store. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  /** Findings that stop nothing. */
  readonly warnings: readonly LoadError[];
}

/**
 * Reads, parses and checks all manifests below `path`.
 * Every error is in the result: what is good beside it stays usable.
 */
export async function loadSnapshot(source: Source, path: string): Promise<Snapshot> {
  const prefix = path === "" ? "" : `${path}/`;
  const listed = (await source.list()).filter((entry) => entry.path.startsWith(prefix));
  const entries = listed.filter((entry) => !entry.link);
  const links = listed.filter((entry) => entry.link && isVisibleManifest(entry.path.slice(prefix.length)));
  const errors: LoadError[] = [];
  const warnings: LoadError[] = [];
  const folderMissing = path !== "" && listed.length === 0;
  if (folderMissing) {
    // Not taken for an empty repository, which would delete everything: most likely a folder was renamed.
    errors.push({ location: { file: path }, message: "there is no such folder: check spec.path" });
  }
  for (const { path: file } of links) {
    // Left out in silence, the object that it stands for would be taken for gone, and deleted.
    const message = "a symlink or submodule: it is not followed; put the file itself there";
    errors.push({ location: { file }, message });
  }
  const { manifests, incomplete, oversized } = await readManifests(source, entries, prefix, errors);
  const unique = withoutDuplicates(manifests, errors);
  lintPrompts(unique, errors, warnings);
  const { pinned, cases, blobs, caseFiles } = await readCaseFiles(source, entries, prefix, unique, errors);
  const graph = buildGraph(pinned);
  const invalid = new Set(errors.map((error) => error.object));
  for (const node of graph.nodes.values()) {
    const manifest = unique.get(node.key);
    for (const problem of node.problems) {
      const edge = node.edges.find(({ field }) => field === problem.field);
      // A reference to something that is in git but invalid is no second error: it is held with it.
      if (edge && invalid.has(edgeKey(edge))) continue;
      errors.push({
        location: manifest?.locate(parseFieldPath(problem.field)) ?? { file: "" },
        message: `${problem.field}: ${problem.message}`,
        object: node.key,
      });
    }
  }
  const unread = await mayBeOurs(
    source,
    oversized.filter(({ path }) => !caseFiles.has(path)),
  );
  for (const { path: file, size } of unread) {
    const message = `${size} bytes: not read as manifests (the limit is ${LIMITS.manifestBytes}), and no suite names it`;
    warnings.push({ location: { file }, message });
  }
  return {
    objects: pinned,
    graph,
    errors: errors.slice(0, LIMITS.errors),
    held: heldObjects(graph, errors),
    incomplete: incomplete || folderMissing || links.length > 0 || unread.length > 0,
    ...(unread[0] ? { unread: unread[0].path } : {}),
    cases,
    blobs,
    warnings,
  };
}

/** @param path below the Repository's own */
const isVisibleManifest = (path: string): boolean =>
  isManifestName(path) && !path.split("/").some((part) => part.startsWith("."));

/** The files that may hold objects of ours: those that mention us, and those too large to be looked through. */
async function mayBeOurs(source: Source, files: readonly SourceEntry[]): Promise<SourceEntry[]> {
  const found: SourceEntry[] = [];
  let left = LIMITS.totalCaseFileBytes;
  for (const file of files) {
    left -= file.size;
    if (file.size > LIMITS.searchedBytes || left < 0) {
      found.push(file);
      continue;
    }
    // One at a time, so that no more than one is in memory.
    const data = (await source.read([file])).get(file.id);
    if (data === undefined || mentionsUs(new TextDecoder().decode(data))) found.push(file);
    await setImmediate();
  }
  return found;
}

async function readManifests(
  source: Source,
  entries: readonly SourceEntry[],
  prefix: string,
  errors: LoadError[],
) {
  const files = entries.filter(({ path }) => isVisibleManifest(path.slice(prefix.length)));
  let incomplete = false;
  // A large YAML file is a case file, not a manifest; the suite that names it reads it.
  const oversized = files.filter((file) => file.size > LIMITS.manifestBytes);
  const readable = files.filter((file) => {
    if (file.size > LIMITS.manifestBytes) return false;
    if (file.path.split("/").length <= LIMITS.depth) return true;
    errors.push({ location: { file: file.path }, message: `more than ${LIMITS.depth} folders deep` });
    incomplete = true;
    return false;
  });
  const total = readable.reduce((sum, { size }) => sum + size, 0);
  if (total > LIMITS.totalManifestBytes) {
    errors.push({
      location: { file: prefix },
      message: `the YAML files are ${total} bytes; the limit is ${LIMITS.totalManifestBytes}`,
    });
    return { manifests: [], incomplete: true, oversized };
  }
  const contents = await source.read(readable);
  const manifests: Manifest[] = [];
  for (const file of readable) {
    const data = contents.get(file.id);
    if (data === undefined) continue;
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    } catch {
      errors.push({ location: { file: file.path }, message: "not UTF-8 text" });
      incomplete = true;
      continue;
    }
    const parsed = parseManifests(file.path, text);
    if (manifests.length + parsed.manifests.length > LIMITS.objects) {
      const message = `more than ${LIMITS.objects} objects: use several Repositories, each with a spec.path of its own`;
      errors.push({ location: { file: file.path }, message });
      return { manifests: [], incomplete: true, oversized };
    }
    manifests.push(...parsed.manifests);
    for (const error of parsed.errors) errors.push(error);
    incomplete ||= parsed.unreadable;
    // Parsing is synchronous: let leases, watches and health checks have their turn between files.
    if (parsed.manifests.length + parsed.errors.length > 0) await setImmediate();
  }
  return { manifests, incomplete, oversized };
}

/** Two documents with one name: neither is right, so neither is used. */
function withoutDuplicates(manifests: readonly Manifest[], errors: LoadError[]): Map<string, Manifest> {
  const all = Map.groupBy(manifests, ({ object }) => nodeKey(object.kind, object.metadata.name));
  const unique = new Map<string, Manifest>();
  for (const [key, group] of all) {
    const [first, ...others] = group as [Manifest, ...Manifest[]];
    if (others.length === 0) {
      unique.set(key, first);
      continue;
    }
    for (const manifest of group) {
      const elsewhere = group
        .filter((other) => other !== manifest)
        .map((other) => other.locate(["metadata", "name"]))
        .map(({ file, line }) => `${file}:${line}`);
      errors.push({
        location: manifest.locate(["metadata", "name"]),
        message: `${key} is also in ${elsewhere.join(", ")}: rename one of them`,
        object: key,
      });
    }
  }
  return unique;
}

function lintPrompts(manifests: Map<string, Manifest>, errors: LoadError[], warnings: LoadError[]): void {
  for (const [key, manifest] of [...manifests]) {
    if (manifest.object.kind !== "PromptTemplate") continue;
    const { errors: faults, findings } = lintPrompt(manifest.object.spec as PromptTemplateSpec);
    for (const finding of findings) {
      warnings.push({
        location: manifest.locate(parseFieldPath(`spec.${finding.field}`)),
        message: finding.message,
        object: key,
      });
    }
    for (const fault of faults) {
      const path = parseFieldPath(`spec.${fault.field}`);
      const where =
        fault.line === undefined ? "" : ` (line ${fault.line}, column ${fault.column ?? 1} of the text)`;
      errors.push({
        location: manifest.locate(path),
        message: `${fieldPath(path)}${where}: ${fault.message}`,
        object: key,
      });
    }
    if (faults.length > 0) manifests.delete(key);
  }
}

async function readCaseFiles(
  source: Source,
  entries: readonly SourceEntry[],
  prefix: string,
  manifests: Map<string, Manifest>,
  errors: LoadError[],
) {
  const { found, caseFiles } = findCaseFiles(entries, prefix, manifests, errors);
  const pinned: CustomResource<unknown>[] = [];
  const cases = new Map<string, readonly EvalCase[]>();
  const blobs = new Map<string, Uint8Array>();
  // All at once: each read of a commit is a process.
  const contents = await source.read([...new Set([...found.values()].flat())]);
  for (const [key, manifest] of manifests) {
    const files = found.get(key)?.map((entry) => ({
      path: entry.path,
      data: contents.get(entry.id) ?? new Uint8Array(),
    }));
    if (manifest.object.kind === "Dataset") {
      if (!files) continue;
      for (const { data } of files) blobs.set(blobDigest(data), data);
      const digests = files.map(({ data }) => blobDigest(data));
      pinned.push({
        ...manifest.object,
        spec: withPinnedSources(manifest.object.spec as DatasetSpec, digests),
      });
      continue;
    }
    if (manifest.object.kind !== "EvalSuite") {
      pinned.push(manifest.object);
      continue;
    }
    const spec = manifest.object.spec as EvalSuiteSpec;
    if (!files) continue;
    const before = errors.length;
    files.forEach(({ path, data }, index) => {
      const message = caseFileFault(path, data);
      if (message !== undefined) errors.push(caseFileError(manifest, key, index, message));
    });
    if (errors.length > before) continue;
    const loaded = loadCases(files, spec.cases.inline ?? []);
    if (files.length > 0) await setImmediate();
    if (loaded.errors.length > 0) {
      for (const error of loaded.errors.slice(0, 20)) errors.push(caseError(error, manifest, key));
      continue;
    }
    for (const { data } of files) blobs.set(blobDigest(data), data);
    cases.set(manifest.object.metadata.name, loaded.cases);
    const withDigests = (spec.cases.files ?? []).map((file, i) => ({
      ...file,
      digest: blobDigest(files[i]?.data ?? ""),
    }));
    pinned.push({
      ...manifest.object,
      spec: spec.cases.files ? { ...spec, cases: { ...spec.cases, files: withDigests } } : spec,
    });
  }
  return { pinned, cases, blobs, caseFiles };
}

/** The files that a manifest names beside itself, each with the field that does. */
function namedFiles({
  kind,
  spec,
}: CustomResource<unknown>): { path: string; field: PropertyKey[] }[] | undefined {
  if (kind === "EvalSuite") {
    return ((spec as EvalSuiteSpec).cases.files ?? []).map(({ path }, i) => ({
      path,
      field: ["spec", "cases", "files", i, "path"],
    }));
  }
  if (kind !== "Dataset") return undefined;
  return (spec as DatasetSpec).sources.flatMap(({ files = [] }, i) =>
    files.map(({ path }, j) => ({ path, field: ["spec", "sources", i, "files", j, "path"] })),
  );
}

/** @param digests of all files of all sources, in order */
function withPinnedSources(spec: DatasetSpec, digests: readonly string[]): DatasetSpec {
  let at = 0;
  const sources = spec.sources.map((source) =>
    source.files
      ? { ...source, files: source.files.map((file) => ({ ...file, digest: digests[at++]! })) }
      : source,
  );
  return { ...spec, sources };
}

/** The files of each object that names none in vain, and the paths of all that are named. */
function findCaseFiles(
  entries: readonly SourceEntry[],
  prefix: string,
  manifests: ReadonlyMap<string, Manifest>,
  errors: LoadError[],
) {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const found = new Map<string, readonly SourceEntry[]>();
  const caseFiles = new Set<string>();
  let total = 0;
  for (const [key, manifest] of manifests) {
    const files = namedFiles(manifest.object);
    if (!files) continue;
    const usable: SourceEntry[] = [];
    for (const { path: named, field } of files) {
      const path = prefix + named;
      caseFiles.add(path);
      const entry = byPath.get(path);
      const message = !entry
        ? `there is no file ${path}`
        : entry.size > LIMITS.caseFileBytes
          ? `${path} has ${entry.size} bytes; the limit is ${LIMITS.caseFileBytes}`
          : total + entry.size > LIMITS.totalCaseFileBytes
            ? `the files that manifests name have more than ${LIMITS.totalCaseFileBytes} bytes with ${path}`
            : undefined;
      if (message !== undefined) errors.push({ location: manifest.locate(field), message, object: key });
      else if (entry) {
        total += entry.size;
        usable.push(entry);
      }
    }
    if (usable.length === files.length) found.set(key, usable);
  }
  return { found, caseFiles };
}

const caseFileError = (manifest: Manifest, object: string, index: number, message: string): LoadError => ({
  location: manifest.locate(["spec", "cases", "files", index, "path"]),
  message,
  object,
});

/** Cases that stand in the manifest itself are told by their field; the file's place is the manifest's to know. */
function caseError(error: SlipwayError, manifest: Manifest, object: string): LoadError {
  const { location } = error;
  const field = location?.field;
  const inline = field?.startsWith("spec.cases.inline") === true;
  const message = error.hint === undefined ? error.message : `${error.message}: ${error.hint}`;
  return {
    location: inline || !location ? manifest.locate(parseFieldPath(field ?? "spec.cases")) : location,
    message: inline ? `${field}: ${message}` : message,
    object,
  };
}

/** What has an error, and everything that refers to it, directly or not. */
export function heldObjects(graph: RevisionGraph, errors: readonly LoadError[]): Map<string, string> {
  const held = new Map<string, string>();
  for (const error of errors) if (error.object !== undefined) held.set(error.object, "Invalid");
  let grown = true;
  while (grown) {
    grown = false;
    for (const node of graph.nodes.values()) {
      if (held.has(node.key)) continue;
      const cause = node.edges.map(edgeKey).find((key) => held.has(key));
      if (cause === undefined) continue;
      held.set(node.key, `refers to ${cause}, which is held`);
      grown = true;
    }
  }
  return held;
}
