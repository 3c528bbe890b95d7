import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, mkdir, writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { SlipwayError } from "../errors.ts";
import { type GiteaBinary, giteaBinary } from "./binaries.ts";
import { probe } from "./probe.ts";
import { recordedDaemons, startDaemon, stopDaemons, waitReady, withFreePort } from "./process.ts";
import { isAlive, OWNER_VARIABLE } from "./process-table.ts";
import {
  type InstanceOptions,
  instanceFolder,
  instanceNames,
  readState,
  removeInstance,
  withInstance,
  writeState,
} from "./state.ts";

const run = promisify(execFile);

const ADMIN_USER = "slipway-admin";
const READY_TIMEOUT_MS = 60_000;

const State = z.object({
  version: z.literal(1),
  url: z.string(),
  adminUser: z.string(),
  adminPassword: z.string(),
  adminToken: z.string(),
  createdAt: z.string(),
});
type State = z.infer<typeof State>;

/** A running Gitea and its administrator. */
export interface Forge {
  readonly name: string;
  readonly url: string;
  readonly adminUser: string;
  readonly adminPassword: string;
  /** API token of the administrator, with every scope. */
  readonly adminToken: string;
  /** Stops it and removes its files. */
  stop(): Promise<void>;
}

export interface StartGiteaOptions extends InstanceOptions {
  /** Where it listens: the loopback interface unless given; a local node's host address for pods. */
  readonly address?: string | undefined;
}

/**
 * The Gitea of this name, started unless it runs: SQLite, on a loopback port, registration and SSH off,
 * webhooks to the loopback interface allowed. What a crashed start has left is removed first.
 */
export async function startGitea(options: StartGiteaOptions): Promise<Forge> {
  return withInstance("forges", options, async (folder) => {
    const running = await runningState(folder);
    if (running) {
      options.report(`the forge "${options.name}" runs already`);
      return describe(options, running);
    }
    await removeInstance(folder);
    try {
      return describe(options, await startNew(folder, options));
    } catch (error) {
      await removeInstance(folder);
      throw error;
    }
  });
}

/** Stops a forge and removes its processes and files. Answers false when there was none. */
export async function stopForge(options: InstanceOptions): Promise<boolean> {
  return withInstance("forges", options, async (folder) => {
    const existed = await access(folder).then(
      () => true,
      () => false,
    );
    await removeInstance(folder);
    return existed;
  });
}

/** Names of the forges that were started and not stopped. */
export async function listForges(stateDir?: string): Promise<string[]> {
  return instanceNames("forges", stateDir);
}

/** The forge of this name when it runs and answers. */
export async function findForge(options: InstanceOptions): Promise<Forge | undefined> {
  const state = await runningState(await instanceFolder("forges", options.name, options.stateDir));
  return state && describe(options, state);
}

function describe(options: InstanceOptions, state: State): Forge {
  const { url, adminUser, adminPassword, adminToken } = state;
  const stop = async () => {
    await stopForge({ name: options.name, stateDir: options.stateDir, report: options.report });
  };
  return { name: options.name, url, adminUser, adminPassword, adminToken, stop };
}

async function runningState(folder: string): Promise<State | undefined> {
  const state = await readState(folder, State);
  if (state === undefined) return undefined;
  for (const daemon of await recordedDaemons(folder)) if (!(await isAlive(daemon))) return undefined;
  return (await isReady(state.url)) ? state : undefined;
}

async function isReady(url: string): Promise<boolean> {
  return (await probe({ url: `${url}/api/healthz` })) === 200;
}

async function startNew(folder: string, options: StartGiteaOptions): Promise<State> {
  const { report, signal, address = "127.0.0.1" } = options;
  await run("git", ["--version"]).catch((cause: unknown) => {
    throw new SlipwayError("GitMissing", "Gitea needs git, which is not installed", {
      cause,
      hint: "install git",
    });
  });
  const gitea = await giteaBinary(options);
  await mkdir(folder, { mode: 0o700 });
  return withFreePort(async (port) => {
    const url = `http://${address}:${port}`;
    await writeFile(join(folder, "app.ini"), appIni(folder, gitea, address, port), { mode: 0o600 });
    try {
      report("starting Gitea");
      const common = ["--config", join(folder, "app.ini"), "--work-path", folder];
      const daemon = await startDaemon({
        folder,
        name: "gitea",
        program: gitea.program,
        args: ["web", ...common],
      });
      const ready = { daemons: [daemon], folder, timeoutMs: READY_TIMEOUT_MS, report, signal };
      await waitReady("Gitea", ready, () => isReady(url));
      report("creating the forge's administrator");
      const state = {
        version: 1,
        url,
        ...(await createAdmin(gitea.program, common, folder, signal)),
      } as const;
      const complete: State = { ...state, createdAt: new Date().toISOString() };
      await writeState(folder, complete);
      return complete;
    } catch (error) {
      await stopDaemons(folder);
      throw error;
    }
  });
}

/** Gitea makes password and token itself: given as arguments they would show in the process list. */
async function createAdmin(
  program: string,
  common: string[],
  folder: string,
  signal: AbortSignal | undefined,
) {
  const args = [
    ...["admin", "user", "create", ...common, "--username", ADMIN_USER, "--email", "admin@slipway.invalid"],
    ...["--admin", "--must-change-password=false", "--random-password", "--random-password-length=32"],
    ...["--access-token", "--access-token-name=slipway", "--access-token-scopes=all"],
  ];
  const { stdout } = await run(program, args, {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: folder, [OWNER_VARIABLE]: folder },
    ...(signal && { signal }),
  });
  const adminPassword = /generated random password is '(.+)'$/m.exec(stdout)?.[1];
  const adminToken = /Access token was successfully created\S* ([0-9a-f]{40})$/m.exec(stdout)?.[1];
  if (!adminPassword || !adminToken) {
    throw new SlipwayError("ForgeSetupFailed", "Gitea did not say the administrator's password and token");
  }
  return { adminUser: ADMIN_USER, adminPassword, adminToken };
}

function appIni(folder: string, gitea: GiteaBinary, address: string, port: number): string {
  const secret = () => randomBytes(32).toString("base64url");
  return `APP_NAME = Slipway test forge
RUN_MODE = prod
RUN_USER = ${userInfo().username}
${process.getuid?.() === 0 ? "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true" : ""}

[server]
PROTOCOL = http
HTTP_ADDR = ${address}
HTTP_PORT = ${port}
ROOT_URL = http://${address}:${port}/
STATIC_ROOT_PATH = ${gitea.staticRoot}
APP_DATA_PATH = ${join(folder, "data")}
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false

[database]
DB_TYPE = sqlite3
PATH = ${join(folder, "gitea.db")}
SQLITE_JOURNAL_MODE = WAL

[repository]
ROOT = ${join(folder, "repositories")}
DEFAULT_BRANCH = main

[git]
HOME_PATH = ${join(folder, "git-home")}

[security]
INSTALL_LOCK = true
SECRET_KEY = ${secret()}
INTERNAL_TOKEN = ${secret()}

[oauth2]
ENABLED = false

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = loopback, private
DELIVER_TIMEOUT = 5

[queue]
TYPE = channel

[session]
PROVIDER = memory

[indexer]
ISSUE_INDEXER_TYPE = db

[log]
MODE = console
LEVEL = Warn

[cron.update_checker]
ENABLED = false

[actions]
ENABLED = false

[packages]
ENABLED = false

[mailer]
ENABLED = false

[picture]
DISABLE_GRAVATAR = true
`;
}
