import { readFile } from "node:fs/promises";
import { KINDS } from "../../schemas/index.ts";

/** A place where the controller writes to the outside: what is killed before and after. */
export interface Request {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly contentType: string | undefined;
}

export interface Classified {
  /** E.g. `api apply EvalRun`, `forge create comment`; undefined for what changes nothing that lasts. */
  readonly site: string | undefined;
  /** Why it is no site: `read`, `watch`, `dry-run`, `lease`; the site itself otherwise. */
  readonly label: string;
  readonly namespace: string | undefined;
}

const BUILT_IN: Readonly<Record<string, string>> = {
  configmaps: "ConfigMap",
  secrets: "Secret",
  jobs: "Job",
  deployments: "Deployment",
  services: "Service",
  events: "Event",
};
const IGNORED: Readonly<Record<string, string>> = { leases: "lease" };

function kindOf(plural: string): string {
  return KINDS.find((kind) => kind.plural === plural)?.kind ?? BUILT_IN[plural] ?? plural;
}

function verbOf({ method, contentType = "" }: Request): string {
  switch (method) {
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return contentType.startsWith("application/apply-patch") ? "apply" : "patch";
    default:
      return method.toLowerCase();
  }
}

/** What a request to the API server is. */
export function classifyKube(request: Request): Classified {
  const url = new URL(request.url, "http://api");
  const parts = url.pathname.split("/").filter(Boolean);
  const rest = parts.slice(parts[0] === "api" ? 2 : 3);
  const namespace = rest[0] === "namespaces" && rest.length > 2 ? rest[1] : undefined;
  const [plural = "", , subresource] = namespace === undefined ? rest : rest.slice(2);
  const none = (label: string): Classified => ({ site: undefined, label, namespace });
  if (request.method === "GET") return none(url.searchParams.has("watch") ? "watch" : "read");
  const ignored = IGNORED[plural];
  if (ignored !== undefined) return none(ignored);
  const what = `${verbOf(request)} ${kindOf(plural)}${subresource === undefined ? "" : `/${subresource}`}`;
  if (url.searchParams.get("dryRun") === "All") return none(`dry-run ${what}`);
  return { site: `api ${what}`, label: `api ${what}`, namespace };
}

/** The label of a look at the open pull requests: once an interval. */
export const FORGE_POLL = "forge poll";

/** What a request to Gitea is. */
export function classifyForge(request: Request): Classified {
  const path = new URL(request.url, "http://forge").pathname.replace(/^\/api\/v1\/repos\/[^/]+\/[^/]+/, "");
  const site = (name: string): Classified => ({
    site: `forge ${name}`,
    label: `forge ${name}`,
    namespace: undefined,
  });
  if (request.method === "GET") {
    return { site: undefined, label: path === "/pulls" ? FORGE_POLL : "forge read", namespace: undefined };
  }
  const verb = { POST: "create", PATCH: "update", DELETE: "delete" }[request.method] ?? request.method;
  if (/^\/issues\/(\d+\/comments|comments\/\d+)$/.test(path)) return site(`${verb} comment`);
  if (/^\/statuses\/[0-9a-f]+$/.test(path)) return site("set status");
  const named = path.replace(/^(\/branches)\/.+/, "$1/NAME").replace(/\d+/g, "N");
  return site(`${request.method} ${named}`);
}

/** What a request to any other HTTP API is: its side, the method and the path. */
export const classifyHttp =
  (side: string) =>
  ({ method, url }: Request): Classified => {
    const what = `${side} ${method} ${new URL(url, "http://api").pathname}`;
    const site = method === "GET" || method === "HEAD" ? undefined : what;
    return { site, label: site ?? `${side} read`, namespace: undefined };
  };

/** How often each line is in a file; the controller under test notes its writes to the store in one. */
export async function countLines(file: string): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const text = await readFile(file, "utf8").catch(() => "");
  for (const line of text.split("\n").filter(Boolean)) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
