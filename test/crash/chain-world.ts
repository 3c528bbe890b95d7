import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { OpenAiServer } from "../contract/openai-server.ts";
import { type RowsServer, startRowsServer } from "../e2e/rows-server.ts";
import { forward } from "../forward.ts";
import { freePort } from "../free-port.ts";
import { MlflowServer } from "../mlflow-server.ts";
import { type ModelEndpointHandle, startModelEndpoint } from "../model-endpoint.ts";
import { python } from "../train/environment.ts";
import { SERVED } from "./chain-story.ts";
import { type RunningProxy, startProxy } from "./proxy.ts";
import { classifyHttp } from "./sites.ts";
import { answer } from "./story.ts";
import { createWorld, type World } from "./world.ts";

/** What the whole chain meets besides cluster and forge. Addresses stay the same over runs. */
export interface ChainWorld extends AsyncDisposable {
  readonly base: World;
  /** Where pods reach the controller. */
  readonly workPort: number;
  readonly rows: RowsServer;
  readonly provider: OpenAiServer;
  readonly providerProxy: RunningProxy;
  /** Idempotency keys of the transitions that were told, in their order. */
  readonly told: string[];
  readonly webhookProxy: RunningProxy;
  readonly mlflow: MlflowServer;
  /** The Python that pods train with. */
  readonly python: string;
  /** The model that every Service of the cluster leads to, for who goes through `servicesProxy`. */
  readonly model: ModelEndpointHandle;
  /** `http://127.0.0.1:port` */
  readonly servicesProxy: string;
}

const MODEL_LATENCY_MS = 30;

export async function createChainWorld(): Promise<ChainWorld> {
  await using parts = new AsyncDisposableStack();
  const base = parts.use(await createWorld());
  const hooks = () => base.hooks;
  const rows = parts.use(await startRowsServer());
  const provider = await OpenAiServer.start();
  parts.defer(() => provider.close());
  const providerProxy = parts.use(
    await startProxy({
      upstream: `http://${provider.host}`,
      classify: classifyHttp("provider"),
      hooks,
      // Trained by the time that somebody asks.
      onWritten: () => {
        for (const job of provider.jobs) {
          if (job.status !== "queued") continue;
          Object.assign(job, { status: "succeeded", fine_tuned_model: "ft:small:1", trained_tokens: 1_000 });
        }
      },
    }),
  );
  const told: string[] = [];
  const receiver = await listen((request) => told.push(String(request.headers["idempotency-key"])));
  parts.defer(receiver.close);
  const webhookProxy = parts.use(
    await startProxy({ upstream: receiver.url, classify: classifyHttp("webhook"), hooks }),
  );
  const interpreter = await python("mlflow");
  const mlflow = parts.use(await MlflowServer.start(join(base.folder, "mlflow"), "127.0.0.1"));
  const model = parts.use(
    await startModelEndpoint({ answer, latencyMs: MODEL_LATENCY_MS, models: [SERVED] }),
  );
  const services = await servicesOf(Number(new URL(model.baseURL).port));
  parts.defer(services.close);
  const owned = parts.move();
  return {
    ...{ base, rows, provider, providerProxy, told, webhookProxy, mlflow, python: interpreter, model },
    workPort: await freePort(),
    servicesProxy: services.url,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Listening {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** A receiver that takes everything. */
async function listen(onRequest: (request: IncomingMessage) => void): Promise<Listening> {
  const server = createServer((request, response) => {
    request.resume();
    onRequest(request);
    response.writeHead(204).end();
  });
  return started(server);
}

/** Plays kube-proxy for a controller outside of any node: whatever address is asked for, this port answers. */
function servicesOf(port: number): Promise<Listening> {
  const server = createServer((request, response) => {
    // A client of a proxy writes the whole address.
    const { pathname } = new URL(request.url ?? "/", "http://service");
    const { method, headers } = request;
    request.pipe(forward(response, { host: "127.0.0.1", port, path: pathname, method, headers }));
  });
  return started(server);
}

async function started(server: Server): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
