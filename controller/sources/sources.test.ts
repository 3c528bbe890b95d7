import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { certificateAuthority, type Issued } from "../../test/certificates.ts";
import { type Hub, type HubOptions, startHub } from "../dev/hub.ts";
import { blobDigest } from "../graph/canonical.ts";
import { credentialsOf, type PinnedFile, readFile, resolveSource, type SourceAccess } from "./index.ts";

const signal = new AbortController().signal;
const open: (Server | Hub | string)[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) {
    if (typeof each === "string") await rm(each, { recursive: true, force: true });
    else if ("closeAllConnections" in each) {
      each.closeAllConnections();
      each.close();
    } else await each.close();
  }
});

/** @param issued what it shows of itself over TLS; plain HTTP without */
async function serve(listener: RequestListener, issued?: Issued): Promise<string> {
  const server = issued ? createTlsServer(issued, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(server);
  return `${issued ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function text(file: PinnedFile, access: SourceAccess = {}, maxBytes = 1 << 20): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readFile(file, access, { signal, maxBytes, retryDelayMs: 1 })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const CONTENT = "0123456789".repeat(100);

/** Serves CONTENT with an entity tag, breaking off after `cut` bytes of the first answer. */
function breaking(
  cut: number,
  { ranges = true, etags = ['"v1"'] as (string | undefined)[] } = {},
): RequestListener {
  let served = 0;
  return (request, response) => {
    const etag = etags[Math.min(served, etags.length - 1)];
    if (etag !== undefined) response.setHeader("etag", etag);
    if (request.method === "HEAD") return void response.setHeader("content-length", CONTENT.length).end();
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    const partial = ranges && from > 0 && request.headers["if-range"] === etag;
    const body = partial ? CONTENT.slice(from) : CONTENT;
    response.writeHead(partial ? 206 : 200, {
      "content-length": body.length,
      ...(partial ? { "content-range": `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` } : {}),
    });
    if (served++ > 0) return void response.end(body);
    response.write(body.slice(0, cut), () => setTimeout(() => response.destroy(), 20));
  };
}

describe("a connection that breaks", () => {
  test.each([true, false])("is resumed where it broke (ranges: %s)", async (ranges) => {
    const url = await serve(breaking(333, { ranges }));
    const { files } = await resolveSource(`${url}/rows.jsonl`, {}, signal);
    expect(files[0]).toMatchObject({ path: "rows.jsonl", bytes: CONTENT.length, etag: '"v1"' });
    expect(await text({ ...files[0]!, digest: blobDigest(CONTENT) })).toBe(CONTENT);
  });

  test.each([true, false])("is not resumed with other content (ranges: %s)", async (ranges) => {
    const url = await serve(breaking(333, { ranges, etags: ['"v1"', '"v2"'] }));
    const file = { path: "rows.jsonl", url, etag: '"v1"' };
    await expect(text(file)).rejects.toMatchObject({ code: "SourceChanged", retryable: true });
  });

  test("is given up where the server tells no versions", async () => {
    const url = await serve(breaking(333, { etags: [undefined] }));
    await expect(text({ path: "rows.jsonl", url })).rejects.toMatchObject({
      code: "SourceInterrupted",
      message: expect.stringMatching(/^rows\.jsonl broke off after 333 bytes/),
      retryable: true,
    });
  });

  test("is given up after a while where nothing more comes", async () => {
    let asked = 0;
    const url = await serve((_, response) => {
      asked++;
      response.writeHead(200, { "content-length": 10, etag: '"a"' });
      response.flushHeaders();
      setTimeout(() => response.destroy(), 1);
    });
    await expect(text({ path: "a.csv", url })).rejects.toMatchObject({ code: "SourceInterrupted" });
    expect(asked).toBe(5);
  });
});

describe("what is read", () => {
  test("is what was pinned, in size and digest, or an error", async () => {
    const url = await serve((_, response) => response.end("abc"));
    const file = { path: "a.csv", url };
    await expect(text({ ...file, digest: blobDigest("abd") })).rejects.toMatchObject({
      code: "DigestMismatch",
    });
    await expect(text({ ...file, bytes: 2 })).rejects.toMatchObject({ code: "DigestMismatch" });
    await expect(text(file, {}, 2)).rejects.toMatchObject({ code: "SourceTooLarge" });
    await expect(text({ ...file, bytes: 5 }, {}, 4)).rejects.toMatchObject({ code: "SourceTooLarge" });
  });

  test.each([
    [404, "SourceNotFound", false],
    [403, "SourceForbidden", false],
    [503, "SourceUnavailable", true],
    [418, "SourceRefused", false],
  ])("HTTP %i is %s", async (status, code, retryable) => {
    const url = await serve((_, response) => response.writeHead(status).end("secret detail"));
    const error = await resolveSource(`hf://datasets/a/b`, { endpoint: url }, signal).catch((e) => e);
    expect(error).toMatchObject({ code, retryable });
    expect(error.message).not.toContain("secret");
  });

  test("keys in an address are not told", async () => {
    const url = await serve((_, response) => response.writeHead(404).end());
    const error = await resolveSource(`${url}/a.csv?sig=hunter2`, {}, signal).catch((e) => e);
    expect(error.message).toBe(`${url}/a.csv does not exist`);
  });

  test.each(["ftp://a/b", "s3://UPPER/x", "hf://datasets/one"])("%s is refused", async (reference) => {
    await expect(resolveSource(reference, {}, signal)).rejects.toMatchObject({ code: "SourceRefused" });
  });
});

test("addresses that answer for the machine itself are not asked", async () => {
  for (const host of [
    "169.254.169.254",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "2852039166",
    "168.63.129.16",
  ]) {
    const url = `http://${host}/latest`;
    await expect(resolveSource(url, {}, signal)).rejects.toMatchObject({ code: "HostNotAllowed" });
  }
});

describe("over TLS", () => {
  const trusted = certificateAuthority("trusted");
  const stranger = certificateAuthority("stranger");
  const namesake = certificateAuthority("trusted");
  // As NODE_EXTRA_CA_CERTS does, which is read when a process starts.
  beforeAll(() => setDefaultCACertificates([...getCACertificates("default"), trusted.cert]));

  test("a server is read whose certificate is of a trusted authority and for its host", async () => {
    const url = await serve((_, response) => response.end(CONTENT), trusted.issue());
    const { files } = await resolveSource(`${url}/rows.jsonl`, {}, signal);
    expect(await text({ ...files[0]!, digest: blobDigest(CONTENT) })).toBe(CONTENT);
  });

  const chained = ({ cert, key }: Issued) => ({ cert: `${cert}${stranger.cert}`, key });
  test.each<[string, Issued, RegExp, boolean]>([
    [
      "is of an authority that is not trusted",
      stranger.issue(),
      /is of an authority that is not trusted here: UNABLE_TO_VERIFY_LEAF_SIGNATURE$/,
      false,
    ],
    [
      "comes with such an authority's own",
      chained(stranger.issue()),
      /is of an authority that is not trusted here: SELF_SIGNED_CERT_IN_CHAIN$/,
      false,
    ],
    [
      "is of an authority that has another key now",
      namesake.issue(),
      /is of an authority that is not trusted here: CERT_SIGNATURE_FAILURE$/,
      false,
    ],
    [
      "is for another host",
      trusted.issue({ hosts: ["rows.example.com", "127.0.0.2"] }),
      /is for other hosts \(DNS:rows\.example\.com, IP Address:127\.0\.0\.2\): ERR_TLS_CERT_ALTNAME_INVALID$/,
      false,
    ],
    [
      "has expired",
      trusted.issue({ days: -1 }),
      /has expired: CERT_HAS_EXPIRED$/,
      // Renewed by somebody else, or by a program.
      true,
    ],
  ])(
    "one whose certificate %s is sent nothing, and the error says so",
    async (_, issued, message, retryable) => {
      let asked = 0;
      const url = await serve((__, response) => {
        asked++;
        response.end(CONTENT);
      }, issued);
      const { host } = new URL(url);
      const credentials = { type: "bearer", token: "t" } as const;
      const access = { credentials, allowedHosts: [host] };
      for (const attempt of [
        () => resolveSource(`${url}/rows.jsonl?sig=hunter2`, access, signal),
        () => text({ path: "rows.jsonl", url: `${url}/rows.jsonl` }, access),
      ]) {
        const error = await attempt().catch((caught: unknown) => caught);
        expect(error).toMatchObject({
          code: "SourceUntrusted",
          retryable,
          message: expect.stringMatching(message),
        });
        expect((error as Error).message).toContain(`the certificate of ${host} `);
      }
      expect(asked).toBe(0);
    },
  );
});

describe("what a server says is not believed", () => {
  test("an address that is no text is named as it is, and its query is in no status", async () => {
    const url = await serve((_, response) => response.end());
    const { resolved, files } = await resolveSource(`${url}/%zz.csv?sig=hunter2`, {}, signal);
    expect([resolved, files[0]?.path]).toEqual([`${url}/%zz.csv`, "%zz.csv"]);
    expect((await resolveSource(`${url}/a%2f..%2fb.csv`, {}, signal)).files[0]?.path).toBe("a%2f..%2fb.csv");
  });

  test.each(["../up.jsonl", "/root.jsonl", "a//b.jsonl", "line%0Abreak.jsonl", "%E0%A4%A.jsonl"])(
    "an S3 key %s is no name of a file",
    async (name) => {
      const key = `<Contents><Key>p/${name}</Key><Size>1</Size></Contents>`;
      const endpoint = await serve((_, response) =>
        response.end(`<ListBucketResult>${key}</ListBucketResult>`),
      );
      const access = { endpoint };
      await expect(resolveSource("s3://bucket/p/", access, signal)).rejects.toMatchObject({
        code: "SourceRefused",
      });
    },
  );

  test("a listing that does not end is given up", async () => {
    let pages = 0;
    const endpoint = await serve((_, response) => {
      pages++;
      response.end("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>");
    });
    await expect(resolveSource("s3://bucket/p/", { endpoint }, signal)).rejects.toMatchObject({
      code: "SourceRefused",
    });
    expect(pages).toBe(1_000);
  });

  test("a repository of the Hub is read whole or not at all", async () => {
    let page = 0;
    const endpoint = await serve((request, response) => {
      if (request.url?.includes("/revision/"))
        return void response.end(JSON.stringify({ sha: "a".repeat(40) }));
      const files = Array.from({ length: 20_000 }, (_, i) => ({
        type: "file",
        path: `${page}-${i}.jsonl`,
        size: 1,
      }));
      response.setHeader("link", `<${request.url}&page=${++page}>; rel="next"`).end(JSON.stringify(files));
    });
    await expect(resolveSource("hf://datasets/a/b", { endpoint }, signal)).rejects.toMatchObject({
      code: "SourceTooLarge",
    });
  });
});

describe("credentials", () => {
  const credentials = credentialsOf("https://x", "s", { token: " t1\n" });

  test("go to allowed hosts alone, and stay behind where a redirect leads elsewhere", async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end("abc");
    });
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${other}/a.csv` }).end();
    });
    const allowedHosts = [new URL(url).host];
    expect(await text({ path: "a.csv", url }, { credentials, allowedHosts })).toBe("abc");
    expect(seen).toEqual(["Bearer t1", undefined]);
    await expect(text({ path: "a.csv", url: other }, { credentials, allowedHosts })).rejects.toMatchObject({
      code: "HostNotAllowed",
    });
    expect(seen).toHaveLength(2);
  });

  test("have the names of the field's tools", () => {
    const aws = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" };
    expect(credentialsOf("s3://b/k", "s", aws)).toEqual({
      type: "s3",
      accessKeyId: "a",
      secretAccessKey: "b",
    });
    expect(credentialsOf("hf://a/b", "s", { HF_TOKEN: "h", token: "t" })).toEqual({
      type: "bearer",
      token: "h",
    });
    expect(() => credentialsOf("s3://b/k", "s", { token: "t" })).toThrow(
      expect.objectContaining({ code: "SecretIncomplete" }),
    );
  });
});

describe("the Hub", () => {
  async function hub(files: Record<string, string>, options: HubOptions = {}): Promise<Hub> {
    const folder = await mkdtemp(join(tmpdir(), "hub-"));
    open.push(folder);
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(folder, path, ".."), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    const server = await startHub({
      datasets: { "team/rows": folder },
      models: { "team/rows": folder },
      ...options,
    });
    open.push(server);
    return server;
  }

  test("names the commit; files are checked by the digests that it tells", async () => {
    const large = "x".repeat(1 << 20);
    const { url } = await hub({ "data/a.jsonl": "a\n", "data/b.jsonl": large, "README.md": "hi" });
    const { resolved, files } = await resolveSource(
      "hf://datasets/team/rows/data",
      { endpoint: url },
      signal,
    );
    expect(resolved).toMatch(/^hf:\/\/datasets\/team\/rows@[0-9a-f]{40}\/data$/);
    expect(files.map(({ path }) => path)).toEqual(["data/a.jsonl", "data/b.jsonl"]);
    expect(files[0]?.gitOid).toMatch(/^[0-9a-f]{40}$/);
    expect(files[1]?.digest).toBe(blobDigest(large));
    expect(await text(files[0]!)).toBe("a\n");
    expect(await text(files[1]!, {}, 2 << 20)).toBe(large);
    await expect(text({ ...files[0]!, gitOid: "0".repeat(40) })).rejects.toMatchObject({
      code: "DigestMismatch",
    });
    const again = await resolveSource(resolved, { endpoint: url }, signal);
    expect(again.files).toEqual(files);
  });

  test("lists page by page, models too, with a token that its storage does not get", async () => {
    const names = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`f${i}.jsonl`, `${i}`]));
    const { url } = await hub({ ...names, "big.bin": "y".repeat(1 << 20) }, { token: "hf_1" });
    const access: SourceAccess = {
      endpoint: url,
      credentials: { type: "bearer", token: "hf_1" },
      allowedHosts: [new URL(url).host],
    };
    const { files } = await resolveSource("hf://team/rows", access, signal);
    expect(files).toHaveLength(121);
    // The test's storage is on the same host, so the token is let go by naming another.
    await expect(resolveSource("hf://team/rows", { endpoint: url }, signal)).rejects.toMatchObject({
      code: "SourceForbidden",
    });
    await expect(resolveSource("hf://team/rows/nothing", access, signal)).rejects.toMatchObject({
      code: "SourceNotFound",
    });
  });
});
