import { SlipwayError } from "../../errors.ts";
import type { Forge } from "./forge.ts";

export interface ForgeLocation {
  readonly kind: Forge["kind"];
  /** With the port, as in a URL; lower case. */
  readonly host: string;
  readonly owner: string;
  readonly name: string;
  /** `owner/name`. */
  readonly repository: string;
  /** Base of the REST API, no trailing slash. */
  readonly apiUrl: string;
}

export interface ForgeUrlOptions {
  /** Needed when neither the host nor `apiUrl` tells. */
  readonly kind?: Forge["kind"];
  readonly apiUrl?: string;
}

const SEGMENT = /^[A-Za-z0-9_.-]{1,100}$/;
const SCP_LIKE = /^(?:[A-Za-z0-9_.-]+@)?([A-Za-z0-9.-]+):(?!\/)([^\s]+)$/;
const API_PATH = { GitHub: "/api/v3", Gitea: "/api/v1" } as const;

function refuse(problem: string, hint: string): SlipwayError {
  return new SlipwayError("ForgeUrlInvalid", problem, { hint });
}

function parsed(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url) throw refuse(`The ${what} is no URL.`, "Write e.g. https://github.com/team/app.git.");
  if (url.password || (url.username && url.protocol !== "ssh:")) {
    // The URL itself is not repeated: it holds a credential.
    throw refuse(
      `The ${what} contains a credential.`,
      "Put the token into a Secret and name it in secretRef.",
    );
  }
  if (url.search || url.hash) throw refuse(`The ${what} has a query or a fragment.`, "Leave them out.");
  return url;
}

/** Path without slashes at its ends, as segments; nothing that means another path when decoded. */
function segments(path: string, what: string): string[] {
  const parts = path.replace(/^\/+|\/+$/g, "").split("/");
  if (parts.some((part) => !SEGMENT.test(part) || part === "." || part === "..")) {
    throw refuse(
      `The ${what} has an odd path.`,
      "It ends in OWNER/NAME, each of letters, digits, dots, dashes and underscores.",
    );
  }
  return parts;
}

function parseApiUrl(text: string): string {
  const url = parsed(text, "apiURL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw refuse("The apiURL is neither https nor http.", "Write e.g. https://git.example.com/api/v1.");
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
}

function kindOf(host: string, apiUrl: string | undefined): Forge["kind"] | undefined {
  if (host === "github.com") return "GitHub";
  if (apiUrl === "https://api.github.com" || apiUrl?.endsWith(API_PATH.GitHub)) return "GitHub";
  return apiUrl?.endsWith(API_PATH.Gitea) ? "Gitea" : undefined;
}

/**
 * Where a repository's forge is, from its git URL: https or http (also with a port or below a subpath),
 * `ssh://` and `user@host:path`. An ssh host says nothing about the API, except for github.com.
 * @throws SlipwayError ForgeUrlInvalid
 */
export function parseForgeUrl(gitUrl: string, options: ForgeUrlOptions = {}): ForgeLocation {
  const scp = gitUrl.includes("://") ? null : SCP_LIKE.exec(gitUrl);
  const url = parsed(scp ? `ssh://git@${scp[1]}/${scp[2]}` : gitUrl, "git URL");
  const web = url.protocol === "https:" || url.protocol === "http:";
  if (!web && url.protocol !== "ssh:") {
    throw refuse(
      `A forge is not reached by ${url.protocol}//.`,
      "Pull requests need an https, http or ssh URL of the forge.",
    );
  }
  const path = segments(url.pathname, "git URL");
  if (path.length < 2) throw refuse("The git URL names no repository.", "It ends in OWNER/NAME.");
  const name = path.at(-1)!.replace(/\.git$/, "");
  const owner = path.at(-2)!;
  if (!SEGMENT.test(name) || name === "." || name === "..") {
    throw refuse("The git URL names no repository.", "It ends in OWNER/NAME.");
  }

  const host = (web ? url.host : url.hostname).toLowerCase();
  const apiUrl = options.apiUrl === undefined ? undefined : parseApiUrl(options.apiUrl);
  const kind = options.kind ?? kindOf(host, apiUrl);
  if (!kind) throw refuse(`Which forge ${host} runs cannot be told.`, "Say GitHub or Gitea.");
  if (host === "github.com" && path.length > 2) {
    throw refuse("The git URL is no repository of github.com.", "It is https://github.com/OWNER/NAME.");
  }
  const prefix = path.slice(0, -2).map((part) => `/${part}`);
  const guessed =
    host === "github.com" ? "https://api.github.com" : `${url.origin}${prefix.join("")}${API_PATH[kind]}`;
  if (apiUrl === undefined && !web && host !== "github.com") {
    throw refuse(`Where the API of ${host} is cannot be told from an ssh URL.`, "Set apiURL.");
  }
  return { kind, host, owner, name, repository: `${owner}/${name}`, apiUrl: apiUrl ?? guessed };
}
