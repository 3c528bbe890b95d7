import { spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../free-port.ts";
import { PYTHON_ENVIRONMENT, python, TRAINER } from "./environment.ts";
import type { ChatRow } from "./rows.ts";

const START_MS = 300_000;

export interface Served {
  /** Folder of the base model, safetensors. */
  readonly base: string;
  /** Folder of an adapter on it. */
  readonly adapter: string | undefined;
  readonly log: string;
}

export type Ask = (messages: ChatRow["messages"]) => Promise<string>;

/** Runs the server that a ModelDeployment with runtime Transformers runs, and lets `work` ask it. */
export async function withServer<T>(served: Served, work: (ask: Ask) => Promise<T>): Promise<T> {
  const port = await freePort();
  const adapter = served.adapter === undefined ? [] : ["--adapter", served.adapter];
  const place = ["--model-name", "triage", "--host", "127.0.0.1", "--port", String(port)];
  const log = await open(served.log, "a");
  const child = spawn(
    await python("torch"),
    ["-m", "slipway_trainer.serve", served.base, ...adapter, ...place],
    { cwd: TRAINER, env: PYTHON_ENVIRONMENT, stdio: ["ignore", log.fd, log.fd] },
  );
  const ended = once(child, "close");
  try {
    const url = `http://127.0.0.1:${port}`;
    const deadline = Date.now() + START_MS;
    while (!(await healthy(url))) {
      if (child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the server does not answer: see ${served.log}`);
      }
      await sleep(500);
    }
    return await work((messages) => ask(url, messages));
  } finally {
    child.kill();
    await ended;
    await log.close();
  }
}

async function healthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}

async function ask(url: string, messages: ChatRow["messages"]): Promise<string> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "triage", messages, max_tokens: 4, temperature: 0 }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the server answered ${response.status}: ${text.slice(0, 500)}`);
  const answer = JSON.parse(text) as { choices: { message: { content: string } }[] };
  return answer.choices[0]!.message.content;
}
