import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import { versitygwBinary } from "../controller/dev/s3.ts";
import { freePort } from "./free-port.ts";

/** A real S3 server over a folder, with one pair of keys that may do everything. */
export interface S3Server {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  createBucket(name: string): Promise<void>;
  put(bucket: string, key: string, data: string | Uint8Array): Promise<void>;
  stop(): Promise<void>;
}

const KEYS = { accessKeyId: "slipway-test", secretAccessKey: "slipway-test-secret" };

/**
 * Builds it first where it is not in the cache: a minute.
 * @param host the host's address on a node's network lets pods reach it
 */
export async function startS3(host = "127.0.0.1"): Promise<S3Server> {
  const program = await versitygwBinary({ report: () => {} });
  const folder = await mkdtemp(join(tmpdir(), "slipway-s3-"));
  const data = join(folder, "data");
  const meta = join(folder, "meta");
  await mkdir(data);
  await mkdir(meta);
  const port = await freePort(host);
  const child = spawn(
    program,
    // Attributes beside the files: not every file system has extended ones.
    ["--port", `${host}:${port}`, "posix", "--sidecar", meta, data],
    {
      stdio: "ignore",
      env: { ...process.env, ROOT_ACCESS_KEY: KEYS.accessKeyId, ROOT_SECRET_KEY: KEYS.secretAccessKey },
    },
  );
  const url = `http://${host}:${port}`;
  const client = new AwsClient({ ...KEYS, service: "s3", region: "us-east-1", retries: 0 });
  const send = async (method: string, path: string, body?: string | Uint8Array) => {
    const answer = await client.fetch(`${url}/${path}`, {
      method,
      ...(body === undefined ? {} : { body: body as string }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: HTTP ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
  };
  await ready(url, child);
  return {
    url,
    ...KEYS,
    createBucket: (name) => send("PUT", name),
    put: (bucket, key, content) => send("PUT", `${bucket}/${key}`, content),
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}`);
    if (await fetch(url).catch(() => undefined)) return;
    await sleep(50);
  }
  child.kill("SIGKILL");
  throw new Error("versitygw does not answer");
}
