import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Dataset } from "../../schemas/dataset.ts";
import { certificateAuthority } from "../certificates.ts";
import { applyObject, createSecret, hasCondition } from "../scenario/cluster.ts";
import { manifest, yamlOf } from "../scenario/manifests.ts";
import { careless, rowLines, trainingRows } from "../training-repository.ts";
import { type RowsServer, startRowsServer, VAULT_TOKEN } from "./rows-server.ts";
import { type Proposal, readyOf, type Tenant } from "./tenant.ts";
import { World } from "./world.ts";

type Source =
  | { readonly files: readonly string[] }
  | { readonly url: string }
  | { readonly datasetRef: object };

function dataset(name: string, source: Source, more: object = {}) {
  const from = "files" in source ? { files: source.files.map((path) => ({ path })) } : source;
  return manifest("Dataset", name, {
    format: "completion",
    sources: [{ name: "rows", ...from }],
    steps: [{ name: "dedup", type: "exactDedup" }],
    ...more,
  });
}
const rows = (count: number) => rowLines(trainingRows(count));
const reasonOf = (object: Dataset) => readyOf(object)?.reason;

let folder: string;
let world: World;
let server: RowsServer;
/** Servers of rows over TLS, by what is so of the certificate. */
let tls: Record<"good" | "untrusted" | "otherHost" | "expired", RowsServer>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-datasets-"));
  const [ours, stranger] = [certificateAuthority("ours"), certificateAuthority("stranger")];
  const trusted = join(folder, "ca.crt");
  await writeFile(trusted, ours.cert);
  world = await World.create({ NODE_EXTRA_CA_CERTS: trusted });
  server = await startRowsServer();
  tls = {
    good: await startRowsServer(ours.issue()),
    untrusted: await startRowsServer(stranger.issue()),
    otherHost: await startRowsServer(ours.issue({ hosts: ["rows.example.com"] })),
    expired: await startRowsServer(ours.issue({ days: -1 })),
  };
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  for (const each of [server, ...Object.values(tls ?? {})]) await each?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Waits for the condition Ready to say so. */
const said = (tenant: Tenant, name: string, reason: string) =>
  tenant.waitFor<Dataset>("Dataset", name, `to say ${reason}`, (object) => reasonOf(object) === reason);

interface Fault {
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly source: Source;
  readonly more?: object;
  readonly reason: string;
  /** What the condition has to say: the file, and the row where it is one. */
  readonly says: RegExp;
  /** It is tried again by itself; else it waits for a person. */
  readonly passes?: true;
}

const bad = (name: string, content: string | Uint8Array, reason: string, says: RegExp): Fault => ({
  files: { [name]: content },
  source: { files: [name] },
  reason,
  says,
});

describe("bad data", () => {
  let tenant: Tenant;
  const faults = (): Readonly<Record<string, Fault>> => ({
    "truncated-gzip": bad(
      "cut.jsonl.gz",
      gzipSync(rows(500)).subarray(0, 900),
      "UnreadableData",
      /cut\.jsonl\.gz ends in the middle/,
    ),
    "bad-utf8": bad(
      "latin.jsonl",
      Buffer.concat([Buffer.from(rows(2)), Buffer.from('{"prompt":"caf\xe9","completion":"x"}\n', "latin1")]),
      "BadRows",
      /latin\.jsonl:3: the line is not UTF-8/,
    ),
    "wrong-columns": bad(
      "columns.csv",
      "question,answer\na,b\n",
      "BadRows",
      /columns\.csv:2: the column \w+ is missing/,
    ),
    "mixed-types": bad(
      "mixed.jsonl",
      `${rows(3)}{"prompt":4,"completion":"x"}\n`,
      "BadRows",
      /mixed\.jsonl:4: prompt must be text, not number/,
    ),
    "empty-source": bad("empty.jsonl", "\n", "EmptySource", /source rows has no rows/),
    "no-parquet": bad("fake.parquet", "no parquet at all", "UnreadableData", /fake\.parquet is no Parquet/),
    "long-line": {
      source: { url: `${server.url}/long-line.jsonl` },
      reason: "BadRows",
      says: /long-line\.jsonl:3: the line has \d+ bytes; the limit is \d+/,
    },
    "digest-mismatch": {
      source: { url: `${server.url}/rows.jsonl`, digest: `sha256:${"0".repeat(64)}` } as Source,
      reason: "DigestMismatch",
      says: /rows\.jsonl.*sha256:0{64}/s,
    },
    vanishing: {
      source: { url: `${server.url}/vanishing.jsonl` },
      reason: "SourceInterrupted",
      says: /vanishing\.jsonl broke off after \d+ bytes/,
      passes: true,
    },
    "untrusted-certificate": {
      source: { url: `${tls.untrusted.url}/rows.jsonl` },
      reason: "SourceUntrusted",
      says: /certificate of 127\.0\.0\.1:\d+ is of an authority that is not trusted here: .* \(start slipway with NODE_EXTRA_CA_CERTS/,
    },
    "certificate-of-another-host": {
      source: { url: `${tls.otherHost.url}/rows.jsonl` },
      reason: "SourceUntrusted",
      says: /certificate of 127\.0\.0\.1:\d+ is for other hosts \(DNS:rows\.example\.com\): .* \(write the url with a host/,
    },
    "expired-certificate": {
      source: { url: `${tls.expired.url}/rows.jsonl` },
      reason: "SourceUntrusted",
      says: /certificate of 127\.0\.0\.1:\d+ has expired: .* \(its owner has to renew it/,
      passes: true,
    },
    "cycle-a": {
      source: { datasetRef: { name: "cycle-b" } },
      reason: "DatasetCycle",
      says: /cycle-a from cycle-b from cycle-a/,
    },
    "cycle-b": {
      source: { datasetRef: { name: "cycle-a" } },
      reason: "DatasetCycle",
      says: /cycle-b from cycle-a from cycle-b/,
    },
  });

  beforeAll(async () => {
    tenant = await world.tenant();
    const all = Object.entries(faults());
    const files = Object.fromEntries(all.flatMap(([, fault]) => Object.entries(fault.files ?? {})));
    // git refuses a cycle before it reaches the cluster: these two are made by hand.
    const inGit = all.filter(([name]) => !name.startsWith("cycle"));
    await tenant.push({
      ...files,
      "good.jsonl": rows(40),
      "half.jsonl": `${rows(6)}{"prompt":"a"}\n${rows(2)}no json\n`,
      "datasets.yaml": yamlOf(
        dataset("good", { files: ["good.jsonl"] }),
        dataset("half", { files: ["half.jsonl"] }, { onBadRow: "Drop" }),
        dataset("gated", { files: ["half.jsonl"] }, { onBadRow: "Drop", gates: { maxDropShare: 0.1 } }),
        ...inGit.map(([name, { source, more }]) => dataset(name, source, more)),
      ),
    });
    await tenant.follow();
    await tenant.said("Synced");
    for (const [name, { source }] of all.filter(([each]) => each.startsWith("cycle")))
      await applyObject(world.client, tenant.namespace, dataset(name, source));
  });

  test("is named by file and row, and nothing of it is published", async () => {
    for (const [name, { reason, says, passes = false }] of Object.entries(faults())) {
      const found = await said(tenant, name, reason);
      expect([name, hasCondition(found, "Stalled")]).toEqual([name, !passes]);
      expect(readyOf(found)).toMatchObject({ status: "False", message: expect.stringMatching(says) });
      expect(found.status?.artifact, name).toBeUndefined();
      expect(found.status?.splits, name).toBeUndefined();
    }
  });

  test("beside it the good is published, and where bad rows are dropped every row is accounted for", async () => {
    const good = await tenant.ready<Dataset>("Dataset", "good");
    expect(good.status).toMatchObject({ read: 40, artifact: { rows: 40 } });
    const { status } = await tenant.ready<Dataset>("Dataset", "half");
    const dropped = status?.steps?.reduce((sum, step) => sum + step.dropped, 0);
    expect(status).toMatchObject({ read: 10, artifact: { rows: 6 } });
    expect(dropped).toBe(4);
    expect(status?.steps).toMatchObject([
      { name: "bad-rows", dropped: 2 },
      { name: "dedup", dropped: 2 },
    ]);
  });

  test("is none that comes over TLS from a server whose certificate is trusted", async () => {
    const secure = dataset("secure", { url: `${tls.good.url}/rows.jsonl` });
    await applyObject(world.client, tenant.namespace, secure);
    const { status } = await tenant.ready<Dataset>("Dataset", "secure");
    expect(status).toMatchObject({ read: 400, artifact: { rows: 400 } });
  });

  test("that is more than a gate allows publishes nothing", async () => {
    const found = await said(tenant, "gated", "GateFailed");
    expect(readyOf(found)?.message).toBe(
      "maxDropShare: 40.0 % of the rows were dropped; at most 10.0 % may be",
    );
    expect(found.status?.artifact).toBeUndefined();
  });

  test("is forgotten when it is mended: in git, at the source, in the cycle", async () => {
    await tenant.push({ "mixed.jsonl": rows(4), "latin.jsonl": rows(3) });
    await tenant.ready("Dataset", "mixed-types", ({ status }: Dataset) => status?.artifact?.rows === 4);
    await tenant.ready("Dataset", "bad-utf8");
    server.vanishing = false;
    await tenant.request("Dataset", "vanishing");
    await tenant.ready("Dataset", "vanishing", ({ status }: Dataset) => status?.artifact?.rows === 400);
    await applyObject(world.client, tenant.namespace, dataset("cycle-b", { datasetRef: { name: "good" } }));
    await tenant.ready("Dataset", "cycle-a", ({ status }: Dataset) => status?.artifact?.rows === 40);
  });

  test("that comes later leaves what was published in place", async () => {
    const before = await tenant.ready<Dataset>("Dataset", "good");
    await tenant.push({ "good.jsonl": `${rows(40)}{` });
    const after = await said(tenant, "good", "BadRows");
    expect(after.status?.artifact).toEqual(before.status?.artifact);
    expect(after.status?.artifact?.revision).not.toBe(after.status?.revision);
  });
});

describe("another namespace's Dataset", () => {
  test("is used once it is shared, without anybody looking again, and not told apart from none before", async () => {
    const [owner, user] = [await world.tenant(), await world.tenant()];
    const shared = (shareWith: string[]) =>
      applyObject(
        world.client,
        owner.namespace,
        dataset("rows", { url: `${server.url}/rows.jsonl` }, { shareWith }),
      );
    await shared([]);
    await owner.ready("Dataset", "rows");
    const from = (name: string) => ({ datasetRef: { name, namespace: owner.namespace } });
    await applyObject(world.client, user.namespace, dataset("mine", from("rows")));
    await applyObject(world.client, user.namespace, dataset("guess", from("nothing")));
    const [mine, guess] = [await said(user, "mine", "NotShared"), await said(user, "guess", "NotShared")];
    const message = (object: Dataset) => readyOf(object)?.message.replace(/\/(rows|nothing) /, "/? ");
    expect(message(mine)).toBe(message(guess));

    await shared([user.namespace]);
    await user.ready("Dataset", "mine", ({ status }: Dataset) => status?.artifact?.rows === 400);
    await shared(["somebody-else"]);
    const after = await said(user, "mine", "NotShared");
    expect(after.status?.artifact?.rows).toBe(400);
  });
});

describe("a pull request", () => {
  let tenant: Tenant;
  let proposal: Proposal;
  const web = (more?: object) => dataset("web", { url: `${server.url}/careless.jsonl` }, more);
  const late = (more?: object) => dataset("late", { url: `${server.url}/vanishing.jsonl` }, more);
  const vault = (more?: object) =>
    dataset("vault", { url: `${server.url}/vault.jsonl`, secretRef: { name: "vault" } } as Source, more);
  const logged = async () => (await world.controller.log()).split("cannot compare a Dataset").length - 1;

  beforeAll(async () => {
    tenant = await world.tenant();
    server.vanishing = true;
    const host = new URL(server.url).host;
    await createSecret(world.client, tenant.namespace, "vault", { token: VAULT_TOKEN }, [host]);
    await tenant.push({
      "rows.jsonl": rows(60),
      "dataset.yaml": yamlOf(dataset("tickets", { files: ["rows.jsonl"] }, { gates: { minRows: 50 } })),
      "web.yaml": yamlOf(web()),
      "vault.yaml": yamlOf(vault()),
      "late.yaml": yamlOf(late()),
    });
    await tenant.follow();
    for (const name of ["tickets", "web", "vault"]) await tenant.ready("Dataset", name);
  });

  test("says what happens to the rows, and shows none of their text", async () => {
    proposal = await tenant.propose("more", { "rows.jsonl": rowLines(careless) });
    expect(await tenant.judged(proposal)).toMatchObject({ status: "success" });
    const { body } = await tenant.comment(proposal);
    expect(body).toContain("### Training data");
    expect(body).toContain("**25 rows added, 4 removed, 1 changed**");
    expect(body).toContain("2 new rows with an e-mail address: <code>rows.jsonl:82</code>");
    expect(body).not.toContain("mia");
    // Nothing of it was applied.
    const { status } = await tenant.ready<Dataset>("Dataset", "tickets");
    expect(status?.artifact?.rows).toBe(60);
  });

  test("with another commit and the same rows finds the comparison done", async () => {
    proposal = await tenant.amend(proposal, { "README.md": "more\n" });
    expect(await tenant.judged(proposal)).toMatchObject({ status: "success" });
    const { body } = await tenant.comment(proposal);
    expect(body).toContain("**25 rows added, 4 removed, 1 changed**");
    const history = await tenant.repository.statuses(proposal.sha);
    // Known at the first look: nothing was waited for.
    expect(history.map(({ status }) => status)).toEqual(["success"]);
  });

  test("whose rows are bad, or too few, fails; what lies outside of git is said not to be compared", async () => {
    const broken = await tenant.propose("broken", { "rows.jsonl": `${rows(60)}{"prompt":"no answer"}\n` });
    expect(await tenant.judged(broken)).toMatchObject({ status: "failure" });
    expect((await tenant.comment(broken)).body).toContain("rows.jsonl:");
    const few = await tenant.propose("few", { "rows.jsonl": rows(10) });
    expect(await tenant.judged(few)).toMatchObject({ status: "failure" });
    expect((await tenant.comment(few)).body).toContain("<code>minRows</code> does not hold");
    const other = dataset("web", { url: `${server.url}/other.jsonl` });
    const outside = await tenant.propose("outside", { "web.yaml": yamlOf(other) });
    expect(await tenant.judged(outside)).toMatchObject({ status: "success" });
    expect((await tenant.comment(outside)).body).toContain("<code>Outside</code>");
    expect(server.asked).not.toContain("/other.jsonl");
    expect(await logged()).toBe(0);
  });

  test("that changes what is done with rows outside of git is compared on those read before, and reads nothing", async () => {
    const asked = () => server.asked.filter((path) => ["/careless.jsonl", "/vault.jsonl"].includes(path));
    const before = asked();
    const steps = [
      { name: "dedup", type: "exactDedup" },
      { name: "clean", type: "normalize" },
      { name: "short", type: "length", length: { minWords: 9 } },
    ];
    const proposed = await tenant.propose("clean", {
      "web.yaml": yamlOf(web({ steps })),
      "vault.yaml": yamlOf(vault({ steps })),
    });
    expect(await tenant.judged(proposed)).toMatchObject({ status: "success" });
    const { body } = await tenant.comment(proposed);
    const [first = "", second = ""] = body.split(/(?=<code>Dataset\/\w+<\/code>: )/).slice(1);
    const [open, secret] = first.includes("Dataset/web") ? [first, second] : [second, first];
    for (const part of [open, secret]) {
      expect(part).toContain("**0 rows added, 12 removed, 0 changed**");
      expect(part).toContain("| dropped by <code>short</code> | – | 12 | – |");
      expect(part).toContain("| up to 16 |");
    }
    // What can be read with a Secret alone is not for everybody who can read the comment.
    expect(open).toContain("<code>billing</code>");
    expect(secret).not.toContain("billing");
    expect(body).not.toContain("mia");
    expect(asked()).toEqual(before);
  });

  test("is compared once its rows are read, without anybody looking again", async () => {
    const steps = [{ name: "some", type: "sample", sample: { rows: 100 } }];
    const proposed = await tenant.propose("late", { "late.yaml": yamlOf(late({ steps })) });
    await tenant.commented(proposed, "has not been read yet");
    server.vanishing = false;
    await tenant.request("Dataset", "late");
    await tenant.ready("Dataset", "late");
    await tenant.commented(proposed, "**0 rows added, 300 removed, 0 changed**");
  });

  test("once merged publishes what the comment said", async () => {
    await tenant.repository.merge(proposal.number);
    await tenant.ready("Dataset", "tickets", ({ status }: Dataset) => status?.artifact?.rows === 81);
  });
});
