import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { availableParallelism } from "node:os";
import { SlipwayError } from "../../errors.ts";
import type { Report } from "../progress.ts";
import { createApi } from "./http.ts";
import { ModelProcess } from "./model-process.ts";
import { RUNTIME, WEIGHTS } from "./pins.ts";
import { ensureRuntime } from "./runtime.ts";
import { ensureWeights } from "./weights.ts";

export interface ModelServerOptions {
  readonly report: Report;
  readonly signal?: AbortSignal | undefined;
  /** 0 (the default) takes any free port. */
  readonly port?: number | undefined;
  /** Loopback unless given. */
  readonly host?: string | undefined;
  /** Requests computed at the same time, one thread each; two, or the number of cores if less. */
  readonly parallel?: number | undefined;
  /** When given, clients need it as bearer token. */
  readonly apiKey?: string | undefined;
  /** Cache folder; `SLIPWAY_CACHE_DIR` or the XDG cache folder unless given. */
  readonly cacheRoot?: string | undefined;
}

export interface ModelServer {
  /** Base URL for OpenAI clients; ends in `/v1`. */
  readonly url: string;
  /** The model's name in requests. */
  readonly model: string;
  /** Ends the server and the model's process; requests in flight fail. */
  stop(): Promise<void>;
}

/**
 * A small real language model (SmolLM2-135M-Instruct) on this machine behind OpenAI's HTTP API, with no
 * key and no GPU. What it needs is fetched into the cache on first use (about 180 MB).
 * @throws SlipwayError `DownloadFailed`, `ChecksumMismatch`, `PlatformUnsupported`, `ModelUnavailable`,
 * `PortUnavailable`
 */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const { report, signal, host = "127.0.0.1", port = 0, apiKey } = options;
  const cache = { report, signal, root: options.cacheRoot };
  const runtime = await ensureRuntime(cache);
  const weights = await ensureWeights(cache);
  report(`loading ${WEIGHTS.model}`);
  const parallel = options.parallel ?? Math.min(2, availableParallelism());
  const model = await ModelProcess.start({ runtime, weights, parallel }, signal);
  const fingerprint = `${RUNTIME.name}-${RUNTIME.version}-${WEIGHTS.sha256.slice(0, 12)}`;
  const server = createApi({ name: WEIGHTS.model, model, apiKey, fingerprint });
  try {
    server.listen(port, host);
    await once(server, "listening", { ...(signal && { signal }) });
  } catch (cause) {
    await model[Symbol.asyncDispose]();
    signal?.throwIfAborted();
    throw new SlipwayError("PortUnavailable", `the model server cannot listen on ${host}:${port}`, {
      hint: "choose another --port; 0 takes any free one",
      cause,
    });
  }
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${family === "IPv6" ? `[${address}]` : address}:${bound}/v1`,
    model: WEIGHTS.model,
    async stop() {
      const closed = server.listening ? once(server, "close") : undefined;
      server.close();
      server.closeAllConnections();
      await model[Symbol.asyncDispose]();
      await closed;
    },
  };
}
