/**
 * Wall time of an evaluation over the limit that the endpoint's latency and the concurrency set, N·latency/C.
 * The endpoint runs in a thread of its own. Prints one JSON line.
 *
 *   node bench/eval-run.ts [--cases 2000] [--latency 50] [--concurrency 20]
 */
import { once } from "node:events";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runEvaluation } from "../controller/eval/index.ts";
import {
  askDirectly,
  casesOf,
  memoryCache,
  modelOf,
  sideOf,
  suiteOf,
  targetOf,
} from "../test/eval-bundles.ts";
import { startModelEndpoint } from "../test/model-endpoint.ts";

if (isMainThread) await measure();
else await serve();

async function serve(): Promise<void> {
  const server = await startModelEndpoint({ latencyMs: workerData.latencyMs, record: false });
  parentPort!.postMessage(server.baseURL);
  parentPort!.on("message", () => parentPort!.postMessage(server.count));
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: { cases: { type: "string" }, latency: { type: "string" }, concurrency: { type: "string" } },
  });
  const cases = Number(values.cases ?? 2_000);
  const latencyMs = Number(values.latency ?? 50);
  const concurrency = Number(values.concurrency ?? 20);
  const worker = new Worker(new URL(import.meta.url), { workerData: { latencyMs } });
  const [baseURL] = (await once(worker, "message")) as [string];
  const evaluate = (count: number) =>
    runEvaluation(
      {
        tenant: "bench",
        head: sideOf(targetOf(modelOf(baseURL, { maxConcurrency: 1_000 }), "Q: {{q}}")),
        suite: suiteOf({
          cases: casesOf(count, (index) => ({ expected: `answer ${index}` })),
          assert: [
            { type: "starts-with", value: "answer", weight: 1 },
            { type: "regex", value: "^answer [0-9a-f]+$", weight: 1 },
            { type: "levenshtein", value: "{{expected}}", threshold: 20, weight: 0 },
          ],
          gates: [{ name: "rate", metric: "pass-rate", min: 0.99, onInconclusive: "Pass" }],
          budget: { concurrency, maxCalls: 10_000_000, timeout: "1h" },
        }),
      },
      { cache: memoryCache(), ask: askDirectly, now: Date.now, signal: new AbortController().signal },
    );
  // Connections, and code that is compiled when first run, are a start-up cost and not one a case.
  await evaluate(2 * concurrency);

  let peakRss = 0;
  const sampler = setInterval(() => {
    peakRss = Math.max(peakRss, process.memoryUsage.rss());
  }, 50);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const result = await evaluate(cases);
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(sampler);
  if (result.verdict !== "Pass" || result.calls.made !== cases)
    throw new Error(`the run went wrong: ${result.message}`);

  worker.postMessage("count");
  const [requests] = (await once(worker, "message")) as [number];
  const limitMs = (cases * latencyMs) / concurrency;
  const line = {
    bench: "eval-run",
    cases,
    latencyMs,
    concurrency,
    wallMs: Math.round(wallMs),
    limitMs,
    ratio: Number((wallMs / limitMs).toFixed(3)),
    cpuMsPerCase: Number(((user + system) / 1_000 / cases).toFixed(3)),
    peakRssMiB: Math.round(peakRss / 1024 / 1024),
    requests: requests - 2 * concurrency,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
  await worker.terminate();
}
