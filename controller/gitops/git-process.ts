import { spawn } from "node:child_process";
import { SlipwayError } from "../errors.ts";

export interface GitCredentials {
  readonly username: string;
  readonly password: string;
}

/** Longest that a local git command may run. */
const LOCAL_TIMEOUT_MS = 60_000;

/** What git is run with: nothing of the user's, and no way out but the URL. */
export function gitEnvironment(url: string, credentials: GitCredentials | undefined): Record<string, string> {
  // Credentials go by environment, bound to this URL, so that they show neither in `ps` nor in a config file.
  const config: [string, string][] = [
    ["http.followRedirects", "false"],
    ["core.hooksPath", "/dev/null"],
    ["gc.auto", "0"],
    ["fetch.fsckObjects", "true"],
    ["merge.renameLimit", "1000"],
  ];
  if (credentials) {
    const { username, password } = credentials;
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    config.push([`http.${url}.extraHeader`, `Authorization: Basic ${basic}`]);
  }
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: "/nonexistent",
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ALLOW_PROTOCOL: "https:http",
    GIT_CONFIG_COUNT: String(config.length),
  };
  for (const name of ["SSL_CERT_FILE", "GIT_SSL_CAINFO"]) {
    const value = process.env[name];
    if (value) env[name] = value;
  }
  config.forEach(([key, value], i) => {
    env[`GIT_CONFIG_KEY_${i}`] = key;
    env[`GIT_CONFIG_VALUE_${i}`] = value;
  });
  return env;
}

interface GitOutput {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly overflow: boolean;
}

/** What is given, and how much may come: more stops it, with `overflow`. */
interface GitLimits {
  readonly stdin?: string;
  readonly maxBytes?: number;
  readonly maxNul?: number;
}

/**
 * Runs a local git command.
 * @throws SlipwayError GitMissing, GitTimeout
 */
export function runGit(
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
  limits: GitLimits = {},
): Promise<GitOutput> {
  const { stdin = "", maxBytes = Number.POSITIVE_INFINITY, maxNul = Number.POSITIVE_INFINITY } = limits;
  return new Promise((resolve, reject) => {
    const child = spawn("git", args, {
      cwd,
      env,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: LOCAL_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    const stdout: Buffer[] = [];
    let stderr = "";
    let bytes = 0;
    let nuls = 0;
    let overflow = false;
    child.stdout.on("data", (chunk: Buffer) => {
      if (overflow) return;
      bytes += chunk.byteLength;
      if (maxNul < Number.POSITIVE_INFINITY) for (const byte of chunk) if (byte === 0) nuls += 1;
      overflow = bytes > maxBytes || nuls > maxNul;
      if (overflow) child.kill("SIGKILL");
      else stdout.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (stderr.length < 4096) stderr += chunk.toString("utf8");
    });
    child.on("error", (cause) =>
      reject(new SlipwayError("GitMissing", "cannot run git", { cause, hint: "install git 2.39 or later" })),
    );
    child.on("close", (code, killedBy) => {
      if (killedBy !== null && !overflow) {
        const message = `git ${args[0]} was ended by ${killedBy} (it may take ${LOCAL_TIMEOUT_MS / 1000} s)`;
        reject(new SlipwayError("GitTimeout", message, { retryable: true }));
      } else resolve({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr, overflow });
    });
    child.stdin.on("error", () => {}); // EPIPE when git ended early: its exit code tells
    child.stdin.end(stdin);
  });
}
