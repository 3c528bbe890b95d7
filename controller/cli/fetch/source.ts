import { SlipwayError } from "../../errors.ts";
import { parseAllowedHosts } from "../../kube/allowed-hosts.ts";
import { credentialsOf, homeOf, readFile, resolveSource, type SourceAccess } from "../../sources/index.ts";
import { listingDigest } from "../../sources/listing.ts";
import { artifactContent } from "./artifact.ts";
import { type Content, without } from "./files.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The files of a reference, as they are to lie in the folder. */
export async function contentOf(
  reference: string,
  file: string | undefined,
  env: Environment,
  signal: AbortSignal,
): Promise<Content> {
  const content = await read(reference, env, signal);
  if (file === undefined) return content;
  const files = content.files.filter(({ path }) => path === file || isSmallBeside(path));
  if (files.some(({ path }) => path === file)) return { ...content, files };
  const names = content.files.map(({ path }) => path);
  throw new SlipwayError("SourceNotFound", `${reference} has no file ${file}`, {
    hint: `it has ${names.slice(0, 20).join(", ")}${names.length > 20 ? " and more" : ""}`,
  });
}

/** A GGUF file needs nothing, but a runtime may look for the tokenizer and the chat template. */
const isSmallBeside = (path: string) => /^[^/]+\.(json|jinja|model|txt)$/.test(path);

async function read(reference: string, env: Environment, signal: AbortSignal): Promise<Content> {
  const digest = /^artifact:(sha256:[0-9a-f]{64})$/.exec(reference)?.[1];
  if (digest !== undefined) return artifactContent(digest, env, signal);
  const access = accessOf(reference, env);
  // A folder of a bucket is pinned by the digest of what it listed when it was looked up.
  const [address = "", listing] = reference.split("#");
  const found = await resolveSource(address, access, signal);
  if (listing !== undefined && listing !== listingDigest(found))
    throw new SlipwayError("SourceChanged", `${address} holds other files than when it was looked up`, {
      hint: "annotate the ModelDeployment with slipway.dev/requestedAt to serve what is there now",
    });
  return {
    reference,
    files: found.files.map((file) => ({
      path: file.path,
      bytes: file.bytes,
      digest: file.digest,
      gitOid: file.gitOid,
      // What was read before is skipped: the source checks the whole of what it sends.
      read: (start: number, stop: AbortSignal) =>
        without(readFile(file, access, { signal: stop, maxBytes: MAX_BYTES }), start),
    })),
  };
}

/** Larger than any file of a model. */
const MAX_BYTES = 2 ** 40;

/** Credentials go to the source's own host and to no other: the controller has checked that they may. */
function accessOf(reference: string, env: Environment): SourceAccess {
  const { SLIPWAY_SOURCE_ENDPOINT: endpoint, SLIPWAY_SOURCE_REGION: region } = env;
  const data = Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith("SLIPWAY_SECRET_") && value !== undefined
        ? [[name === "SLIPWAY_SECRET_TOKEN" ? "token" : name.slice("SLIPWAY_SECRET_".length), value]]
        : [],
    ),
  );
  const base = {
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
  if (Object.keys(data).length === 0) return base;
  const { protocol, hostname, port } = new URL(homeOf(reference, base));
  // With its port: one without means https on 443.
  const allowedHosts = parseAllowedHosts(`${hostname}:${port || (protocol === "https:" ? 443 : 80)}`);
  return { ...base, credentials: credentialsOf(reference, "of the source", data), allowedHosts };
}
