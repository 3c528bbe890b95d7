import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { SlipwayError } from "../errors.ts";
import { type FetchLimits, type GitCredentials, GitMirror, parseTree, removeLeftovers } from "./git.ts";
import { LIMITS } from "./source.ts";

// Many processes or much text: a busy machine needs longer than the default.
vi.setConfig({ testTimeout: 60_000 });

const PASSWORD = "s3cret/pass+word";
const CREDENTIALS = { username: "reader", password: PASSWORD };
const AUTHORIZATION = `Basic ${Buffer.from(`reader:${PASSWORD}`).toString("base64")}`;
const REF = "refs/heads/main";

/** A repository called `trickle…` comes in so many pieces, with so long between them. */
const TRICKLES = 40;
const TRICKLE_MS = 100;

let root: string;
let server: Server;
let base: string;
/** What the server was asked, as `METHOD path authorization`. */
const requests: string[] = [];

const environment = {
  PATH: process.env.PATH,
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example.com",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example.com",
};
const git = (repository: string, args: string[], stdin: string | Buffer = "") =>
  execFileSync("git", args, {
    cwd: join(root, "served", repository),
    env: environment,
    input: stdin,
    encoding: "utf8",
  }).trim();

/** A tree object from entries `mode type id path`, written as git writes them and without a work tree. */
function tree(
  repository: string,
  entries: readonly (readonly [mode: string, type: string, id: string, path: string])[],
): string {
  const lines = entries.map(([mode, type, id, path]) => `${mode} ${type} ${id}\t${path}\0`).join("");
  return git(repository, ["mktree", "-z", "--missing"], lines);
}
const blob = (repository: string, content: string | Buffer) =>
  git(repository, ["hash-object", "-w", "--stdin"], content);

/** A commit with these files (slashes make folders) on top of `parents`. */
function commit(
  repository: string,
  files: Readonly<Record<string, string | Buffer>>,
  parents: readonly string[] = [],
): string {
  const folder = (entries: readonly (readonly [string, string])[]): string => {
    const here = entries.filter(([path]) => !path.includes("/"));
    const below = Map.groupBy(
      entries.filter(([path]) => path.includes("/")),
      ([path]) => path.slice(0, path.indexOf("/")),
    );
    return tree(repository, [
      ...here.map(([path, id]) => ["100644", "blob", id, path] as const),
      ...[...below].map(
        ([name, inside]) =>
          [
            "040000",
            "tree",
            folder(inside.map(([path, id]) => [path.slice(name.length + 1), id])),
            name,
          ] as const,
      ),
    ]);
  };
  const ids = Object.entries(files).map(([path, content]) => [path, blob(repository, content)] as const);
  return commitTree(repository, folder(ids), parents);
}
const commitTree = (repository: string, id: string, parents: readonly string[] = []) =>
  git(repository, ["commit-tree", id, ...parents.flatMap((parent) => ["-p", parent])], "change\n");

function serve(repository: string): string {
  mkdirSync(join(root, "served", repository), { recursive: true });
  git(repository, ["init", "--bare", "--quiet", "."]);
  return repository;
}
const point = (repository: string, ref: string, id: string) => git(repository, ["update-ref", ref, id]);

let mirrors = 0;
const open = (repository: string, credentials?: GitCredentials) => {
  mirrors += 1;
  return GitMirror.open(join(root, `mirror-${mirrors}`), `${base}/${repository}`, credentials);
};
async function failure(work: Promise<unknown>): Promise<SlipwayError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(SlipwayError);
  return error as SlipwayError;
}

/** The smallest front to `git http-backend`: CGI over node:http, with the answers that tests need. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "slipway-git-"));
  mkdirSync(join(root, "served"));
  server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://localhost");
    const { authorization } = request.headers;
    requests.push(`${request.method} ${url.pathname} ${authorization ?? "-"}`);
    if (url.pathname.startsWith("/redirect/")) {
      response.writeHead(302, { location: `${base}/${url.pathname.slice(10)}${url.search}` }).end();
      return;
    }
    if (url.pathname.startsWith("/private") && authorization !== AUTHORIZATION) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
      return;
    }
    if (url.pathname.startsWith("/forbidden")) {
      response.writeHead(403).end();
      return;
    }
    if (url.pathname.startsWith("/echo")) {
      // A server that answers with what it was sent, as a badly made proxy does.
      response
        .writeHead(500, { "content-type": "text/plain" })
        .end(`${authorization} ${PASSWORD} \u001b[31m`);
      return;
    }
    if (url.pathname.startsWith("/slow")) return;
    const backend = spawn("git", ["http-backend"], {
      env: {
        ...environment,
        GIT_PROJECT_ROOT: join(root, "served"),
        GIT_HTTP_EXPORT_ALL: "1",
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      },
    });
    request.pipe(backend.stdin);
    const chunks: Buffer[] = [];
    backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    backend.on("close", () => {
      const output = Buffer.concat(chunks);
      const end = output.indexOf("\r\n\r\n");
      const headers = output
        .subarray(0, end)
        .toString("latin1")
        .split("\r\n")
        .map((line) => line.split(": ") as [string, string]);
      const status = Number(headers.find(([name]) => name === "Status")?.[1].split(" ")[0] ?? 200);
      response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== "Status")));
      const body = output.subarray(end + 4);
      if (!(url.pathname.startsWith("/trickle") && body.byteLength > 100_000)) return response.end(body);
      const step = Math.ceil(body.byteLength / TRICKLES);
      const send = (at: number): unknown => {
        if (at >= body.byteLength) return response.end();
        response.write(body.subarray(at, at + step));
        return setTimeout(send, TRICKLE_MS, at + step);
      };
      return send(0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(root, { recursive: true, force: true });
});

const contents = async (mirror: GitMirror, treeish: string, path?: string) => {
  const source = mirror.at(treeish, path);
  const entries = await source.list();
  const read = await source.read(entries);
  return Object.fromEntries(
    entries.map((entry) => [entry.path, Buffer.from(read.get(entry.id) ?? []).toString()]),
  );
};

describe("fetch", () => {
  it("brings a branch, and the next one brings what was pushed since", async () => {
    const repository = serve("plain");
    const first = commit(repository, { "a.yaml": "one", "dir/b.yaml": "two" });
    point(repository, REF, first);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    expect(await mirror.resolve(REF)).toBe(first);
    expect(await contents(mirror, first)).toEqual({ "a.yaml": "one", "dir/b.yaml": "two" });

    const second = commit(repository, { "a.yaml": "three" }, [first]);
    point(repository, REF, second);
    expect((await failure(mirror.resolve(second))).code).toBe("GitRefNotFound");
    await mirror.fetch([REF]);
    expect(await mirror.resolve(REF)).toBe(second);
    expect(await contents(mirror, second)).toEqual({ "a.yaml": "three" });
    expect(await contents(mirror, first)).toHaveProperty("dir/b.yaml");
  });

  it("follows a force-push to unrelated history", async () => {
    const repository = serve("forced");
    point(repository, REF, commit(repository, { a: "one" }));
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    const other = commit(repository, { b: "two" });
    point(repository, REF, other);
    await mirror.fetch([REF]);
    expect(await mirror.resolve(REF)).toBe(other);
  });

  it("brings a pull request's head beside the branch", async () => {
    const repository = serve("pulls");
    const main = commit(repository, { a: "one" });
    const head = commit(repository, { a: "two" }, [main]);
    point(repository, REF, main);
    point(repository, "refs/pull/7/head", head);
    const mirror = await open(repository);
    await mirror.fetch([REF, "refs/pull/7/head"]);
    expect([await mirror.resolve(REF), await mirror.resolve("refs/pull/7/head")]).toEqual([main, head]);
  });

  it("keeps a mirror between processes", async () => {
    const repository = serve("kept");
    const id = commit(repository, { a: "one" });
    point(repository, REF, id);
    const folder = join(root, "kept-mirror");
    await (await GitMirror.open(folder, `${base}/${repository}`)).fetch([REF]);
    const again = await GitMirror.open(folder, `${base}/${repository}`);
    expect(await again.resolve(REF)).toBe(id);
  });

  it("fetches what a process that was killed had begun, at its first opening", async () => {
    const repository = serve("killed");
    point(repository, REF, commit(repository, { a: "one" }));
    const folder = join(root, "killed-mirror");
    const mirror = await GitMirror.open(folder, `${base}/${repository}`);
    await mirror.fetch([REF]);
    const [local = ""] = readdirSync(join(folder, "refs/slipway"));
    writeFileSync(join(folder, "refs/slipway", `${local}.lock`), "");
    writeFileSync(join(folder, "objects/pack/tmp_pack_abc"), "half");
    const next = commit(repository, { a: "two" });
    point(repository, REF, next);
    expect((await failure(mirror.fetch([REF]))).message).toContain("File exists");
    await removeLeftovers(folder);
    expect(readdirSync(join(folder, "objects/pack"))).not.toContain("tmp_pack_abc");
    await mirror.fetch([REF]);
    expect(await mirror.resolve(REF)).toBe(next);
    await removeLeftovers(join(root, "never-made"));
  });

  it.each([
    ["only HEAD", { HEAD: "ref: refs/heads/main\n" }],
    ["a half made one beside it", { "../half.new/HEAD": "" }],
  ])("makes a mirror anew where a process that was killed left %s", async (_what, files) => {
    const repository = serve("half");
    const id = commit(repository, { a: "one" });
    point(repository, REF, id);
    const folder = join(root, "half");
    rmSync(folder, { recursive: true, force: true });
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    const mirror = await GitMirror.open(folder, `${base}/${repository}`);
    await mirror.fetch([REF]);
    expect(await mirror.resolve(REF)).toBe(id);
    expect(existsSync(`${folder}.new`)).toBe(false);
  });

  it("follows a branch into the folder that another branch's name has become", async () => {
    const repository = serve("folder");
    const id = commit(repository, { a: "one" });
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    git(repository, ["update-ref", "-d", REF]);
    point(repository, `${REF}/1`, id);
    await mirror.fetch([`${REF}/1`]);
    expect(await mirror.resolve(`${REF}/1`)).toBe(id);
  });

  // Git passes on up to 64 KiB at once: each piece must come within the silence that is allowed.
  it("waits for a large fetch as long as it goes on, and no longer than the limit", async () => {
    const repository = serve("trickle");
    const files = Object.fromEntries(
      Array.from({ length: 80 }, (_, i) => [`f${i}`, randomBytes(10_000)] as const),
    );
    const id = commit(repository, files);
    point(repository, REF, id);
    const at = (name: string, limits: FetchLimits) =>
      GitMirror.open(join(root, name), `${base}/${repository}`, undefined, limits);
    const patient = await at("patient", { silenceMs: (TRICKLES * TRICKLE_MS) / 2 });
    const start = performance.now();
    await patient.fetch([REF]);
    expect(performance.now() - start).toBeGreaterThan((TRICKLES * TRICKLE_MS) / 2);
    expect(await patient.resolve(REF)).toBe(id);
    const hurried = await at("hurried", { totalMs: 1000 });
    expect(await failure(hurried.fetch([REF]))).toMatchObject({ code: "GitTimeout", retryable: true });
  });

  it.each([
    ["a branch that is not there", "empty-branch", "refs/heads/nope", "GitRefNotFound", false],
    ["a repository that is not there", "nowhere", REF, "GitNotFound", false],
    ["a refusal", "forbidden", REF, "GitUnauthorized", false],
  ])("tells of %s", async (_, repository, ref, code, retryable) => {
    if (repository === "empty-branch") point(serve(repository), REF, commit(repository, { a: "b" }));
    const mirror = await open(repository);
    expect(await failure(mirror.fetch([ref]))).toMatchObject({ code, retryable });
  });

  it("tells of an empty repository as of a branch that is not there", async () => {
    const mirror = await open(serve("empty"));
    expect(await failure(mirror.fetch([REF]))).toMatchObject({ code: "GitRefNotFound" });
    expect(await failure(mirror.resolve(REF))).toMatchObject({ code: "GitRefNotFound" });
  });

  it("tells of a server that is not there as of something to try again", async () => {
    const mirror = await GitMirror.open(join(root, "unreachable"), "http://127.0.0.1:1/x");
    expect(await failure(mirror.fetch([REF]))).toMatchObject({ code: "GitUnreachable", retryable: true });
  });

  it("does not follow a redirect, which could lead anywhere", async () => {
    const repository = serve("target");
    point(repository, REF, commit(repository, { a: "b" }));
    const before = requests.length;
    const mirror = await open(`redirect/${repository}`, CREDENTIALS);
    expect((await failure(mirror.fetch([REF]))).code).toBe("GitUnreachable");
    expect(requests.slice(before).filter((line) => !line.includes("/redirect/"))).toEqual([]);
  });

  it.each([
    ["ext::", (marker: string) => `ext::sh -c touch% ${marker}`],
    ["file://", () => `file://${join(root, "served", "plain")}`],
    ["a path", () => join(root, "served", "plain")],
    ["ssh", () => "ssh://127.0.0.1:1/x"],
    ["git://", () => "git://127.0.0.1:1/x"],
    ["an option", () => "--upload-pack=touch /tmp/x"],
  ])("refuses %s, whoever wrote the address", async (name, url) => {
    const marker = join(root, `marker-${name.length}`);
    const mirror = await GitMirror.open(join(root, `protocol-${name.length}`), url(marker));
    await failure(mirror.fetch([REF]));
    expect(readdirSync(root)).not.toContain(`marker-${name.length}`);
    expect((await failure(mirror.resolve(commitOf("plain")))).code).toBe("GitRefNotFound");
  });

  it("ends when it is told to", async () => {
    const mirror = await open("slow");
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("stop")), 200);
    const start = performance.now();
    await expect(mirror.fetch([REF], abort.signal)).rejects.toThrow();
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

const commitOf = (repository: string) => git(repository, ["rev-parse", REF]);

describe("credentials", () => {
  it("reach the server, and neither the mirror's files nor an argument", async () => {
    const repository = serve("private");
    point(repository, REF, commit(repository, { a: "b" }));
    const folder = join(root, "private-mirror");
    const mirror = await GitMirror.open(folder, `${base}/${repository}`, CREDENTIALS);
    const seen = new Set<string>();
    const watching = setInterval(() => {
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        try {
          seen.add(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
        } catch {} // it ended
      }
    }, 5);
    try {
      await mirror.fetch([REF]);
    } finally {
      clearInterval(watching);
    }
    expect(requests.some((line) => line.endsWith(AUTHORIZATION))).toBe(true);
    const secrets = [PASSWORD, AUTHORIZATION.slice(6)];
    const fetches = [...seen].filter((line) => line.includes(`${base}/private`));
    if (process.platform === "linux") expect(fetches.length).toBeGreaterThan(0);
    for (const line of fetches) for (const secret of secrets) expect(line).not.toContain(secret);
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((name) => statSync(name).isFile());
    expect(files.length).toBeGreaterThan(3);
    for (const file of files)
      for (const secret of secrets) expect(readFileSync(file, "utf8")).not.toContain(secret);
  });

  it.each([
    ["none", undefined],
    ["wrong ones", { username: "reader", password: "wrong-password" }],
  ])("%s: unauthorized, and the message says none", async (_, credentials) => {
    serve("private2");
    const mirror = await open("private2", credentials);
    const error = await failure(mirror.fetch([REF]));
    expect(error.code).toBe("GitUnauthorized");
    expect(JSON.stringify([error.message, error.hint, error.stack])).not.toContain("wrong-password");
  });

  it("do not come back in an error when the server sends them back", async () => {
    const mirror = await open("echo", CREDENTIALS);
    const error = await failure(mirror.fetch([REF]));
    const all = `${error.message} ${error.hint} ${error.stack} ${String(error.cause)}`;
    for (const secret of [PASSWORD, AUTHORIZATION.slice(6), "\u001b"]) expect(all).not.toContain(secret);
  });

  it("go to no other host or path of the server", async () => {
    const repository = serve("other");
    point(repository, REF, commit(repository, { a: "b" }));
    const folder = join(root, "bound");
    await GitMirror.open(folder, `${base}/private`, CREDENTIALS);
    const before = requests.length;
    await (await GitMirror.open(folder, `${base}/other`)).fetch([REF]);
    expect(requests.slice(before).every((line) => line.endsWith(" -"))).toBe(true);
  });
});

describe("reading a commit", () => {
  it("leaves symlinks and submodules out", async () => {
    const repository = serve("links");
    const text = blob(repository, "/etc/passwd");
    const id = commitTree(
      repository,
      tree(repository, [
        ["100644", "blob", text, "file"],
        ["100755", "blob", text, "program"],
        ["120000", "blob", text, "link"],
        ["160000", "commit", "1".repeat(40), "module"],
      ]),
    );
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    expect(Object.keys(await contents(mirror, id))).toEqual(["file", "program"]);
  });

  it("reads paths with any character, and options that are none", async () => {
    const names = [
      "with space",
      "new\nline",
      'quo"te',
      "ta\tb",
      "-rf",
      "--help",
      "é",
      "日本",
      "back\\slash",
      "*",
      ":(top)x",
    ];
    const repository = serve("names");
    const files = Object.fromEntries(names.map((name, i) => [`d/${name}`, `content ${i}`]));
    const id = commit(repository, { ...files, "--": "dashes" });
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    expect(await contents(mirror, id)).toEqual({ ...files, "--": "dashes" });
    expect(await contents(mirror, id, "d")).toEqual(files);
  });

  it("reads below a path only, and nothing when it is not there", async () => {
    const repository = serve("below");
    const id = commit(repository, { "team/a": "1", "team2/b": "2", c: "3", "-x/d": "4" });
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    expect(await contents(mirror, id, "team")).toEqual({ "team/a": "1" });
    expect(await contents(mirror, id, "-x")).toEqual({ "-x/d": "4" });
    expect(await contents(mirror, id, "nowhere")).toEqual({});
  });

  it("reads empty, binary and equal files", async () => {
    const repository = serve("bytes");
    const binary = Buffer.from([0, 10, 255, 254, 10, 0]);
    const id = commit(repository, { empty: "", binary, one: "same\n", two: "same\n" });
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    const source = mirror.at(id);
    const entries = await source.list();
    const read = await source.read(entries);
    const of = (path: string) => read.get(entries.find((entry) => entry.path === path)?.id ?? "");
    expect(Buffer.from(of("binary") ?? [])).toEqual(binary);
    expect(of("empty")).toHaveLength(0);
    expect(Buffer.from(of("two") ?? []).toString()).toBe("same\n");
    expect(entries.find((entry) => entry.path === "binary")?.size).toBe(6);
    expect((await source.read([])).size).toBe(0);
  });

  it.each(["--help", "HEAD", "main", REF, "0".repeat(39), "$(id)", ""])(
    "takes no name for a commit: %j",
    async (name) => {
      const mirror = await open("plain");
      expect(await failure(mirror.at(name).list())).toMatchObject({ code: "GitReadFailed" });
      const resolved = mirror.resolve(`${name}^{tree}`);
      expect((await failure(resolved)).code).toBe("GitRefNotFound");
    },
  );

  it("tells of a commit or file that is not there", async () => {
    const mirror = await open("plain");
    await mirror.fetch([REF]);
    expect((await failure(mirror.resolve("1".repeat(40)))).code).toBe("GitRefNotFound");
    expect(await failure(mirror.at("1".repeat(40)).list())).toMatchObject({ code: "GitReadFailed" });
    const gone = [{ path: "a", size: 1, id: "1".repeat(40) }];
    expect(await failure(mirror.at("1".repeat(40)).read(gone))).toMatchObject({ code: "GitReadFailed" });
  });

  it("refuses a tree that holds itself ten times over, ten levels deep", async () => {
    const repository = serve("bomb");
    const main = commit(repository, { a: "b" });
    let id = tree(repository, [["100644", "blob", blob(repository, "x"), "f"]]);
    for (let level = 0; level < 10; level += 1) {
      id = tree(
        repository,
        Array.from({ length: 10 }, (_, i) => ["040000", "tree", id, `d${i}`] as const),
      );
    }
    const head = commitTree(repository, id, [main]);
    point(repository, REF, head);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    const before = process.memoryUsage().rss;
    expect(await failure(mirror.at(head).list())).toMatchObject({ code: "RepositoryTooLarge" });
    expect(await failure(mirror.merge(main, head))).toMatchObject({ code: "RepositoryTooLarge" });
    expect(process.memoryUsage().rss - before).toBeLessThan(512 << 20);
  }, 60_000);

  it("refuses more files than the limit", async () => {
    const repository = serve("many");
    const text = blob(repository, "x");
    const hundred = tree(
      repository,
      Array.from({ length: 100 }, (_, i) => ["100644", "blob", text, `f${i}`] as const),
    );
    const folders = Math.ceil(LIMITS.entries / 100) + 1;
    const id = commitTree(
      repository,
      tree(
        repository,
        Array.from({ length: folders }, (_, i) => ["040000", "tree", hundred, `d${i}`] as const),
      ),
    );
    point(repository, REF, id);
    const mirror = await open(repository);
    await mirror.fetch([REF]);
    expect(await failure(mirror.at(id).list())).toMatchObject({ code: "RepositoryTooLarge" });
    expect(await mirror.at(id, "d7").list()).toHaveLength(100);
  });
});

describe("merge", () => {
  async function merged(
    repository: string,
    main: Record<string, string>,
    head: Record<string, string>,
    common: Record<string, string>,
  ) {
    serve(repository);
    const start = commit(repository, common);
    const ours = commit(repository, main, [start]);
    const theirs = commit(repository, head, [start]);
    point(repository, REF, ours);
    point(repository, "refs/pull/1/head", theirs);
    const mirror = await open(repository);
    await mirror.fetch([REF, "refs/pull/1/head"]);
    return { mirror, result: await mirror.merge(ours, theirs), ours, theirs, start };
  }

  it("gives the tree of both sides' changes", async () => {
    const { mirror, result } = await merged("clean", { a: "1", b: "new" }, { a: "2" }, { a: "1" });
    expect(result).toHaveProperty("tree");
    expect(await contents(mirror, "tree" in result ? result.tree : "")).toEqual({ a: "2", b: "new" });
  });

  it("of what is merged already is the base's tree", async () => {
    const { mirror, ours, start } = await merged("ancestor", { a: "2" }, { a: "3" }, { a: "1" });
    const result = await mirror.merge(ours, start);
    expect(await contents(mirror, "tree" in result ? result.tree : "")).toEqual({ a: "2" });
  });

  it("names the files that conflict, whatever they are called", async () => {
    const names = { 'a b\n"é': "", "-x": "", z: "" };
    const all = (text: string) => Object.fromEntries(Object.keys(names).map((name) => [name, text]));
    const { result } = await merged(
      "conflict",
      { ...all("ours"), z: "same" },
      { ...all("theirs"), z: "same" },
      all("start"),
    );
    expect("conflicts" in result && [...result.conflicts].sort()).toEqual(["-x", 'a b\n"é']);
  });

  it("tells of a file changed here and deleted there", async () => {
    const { result } = await merged("deleted", { a: "changed", b: "1" }, { b: "1" }, { a: "1", b: "1" });
    expect(result).toEqual({ conflicts: ["a"] });
  });

  it("tells of histories that have nothing in common", async () => {
    const { mirror, ours } = await merged("unrelated", { a: "1" }, { a: "2" }, { a: "0" });
    const alien = commit("unrelated", { c: "1" });
    point("unrelated", "refs/heads/alien", alien);
    await mirror.fetch(["refs/heads/alien"]);
    expect(await failure(mirror.merge(ours, alien))).toMatchObject({
      code: "GitMergeFailed",
      retryable: false,
    });
  });

  it("takes no option for a commit", async () => {
    const mirror = await open("plain");
    await mirror.fetch([REF]);
    const id = await mirror.resolve(REF);
    for (const name of ["--help", "--messages", "HEAD"]) {
      expect(await failure(mirror.merge(id, name))).toMatchObject({ code: "GitReadFailed" });
      expect(await failure(mirror.merge(name, id))).toMatchObject({ code: "GitReadFailed" });
    }
  });
});

describe("parseTree", () => {
  it("reads sizes, modes and paths with tabs", () => {
    const id = "a".repeat(40);
    const records = [
      `100644 blob ${id}      12\ta\tb`,
      `120000 blob ${id}       3\tlink`,
      `160000 commit ${id}       -\tmodule`,
      `120000 blob ${id}       3\tlink.yaml`,
      `160000 commit ${id}       -\tmodule.yml`,
      `100755 blob ${id} 1234567890\tx`,
    ];
    expect(parseTree(`${records.join("\0")}\0`)).toEqual([
      { path: "a\tb", id, size: 12 },
      { path: "link.yaml", id, size: 0, link: true },
      { path: "module.yml", id, size: 0, link: true },
      { path: "x", id, size: 1_234_567_890 },
    ]);
    expect(parseTree("")).toEqual([]);
  });
});
