import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { waitFor } from "./scenario/wait.ts";
import { python } from "./train/environment.ts";

/** A version in the registry, as MLflow's REST API has it. */
export interface RegisteredVersion {
  readonly version: string;
  readonly run_id: string;
  readonly source: string;
  readonly tags?: readonly { readonly key: string; readonly value: string }[];
}

/** A run, as MLflow's REST API has it. */
export interface TrackedRun {
  readonly info: { readonly run_id: string; readonly status: string };
  readonly data: { readonly tags?: readonly { readonly key: string; readonly value: string }[] };
}

/** A real MLflow server, from the lock file that `npm run test:train` uses too. */
export class MlflowServer implements AsyncDisposable {
  readonly url: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.#stop = stop;
  }

  /** @param folder for its database, its files and its log */
  static async start(folder: string, host: string): Promise<MlflowServer> {
    const program = join(dirname(await python("mlflow")), "mlflow");
    const address = `${host}:${await freePort(host)}`;
    const [, port = ""] = address.split(":");
    await mkdir(folder, { recursive: true });
    const log = createWriteStream(join(folder, "log"));
    const args = [
      ...["server", "--host", host, "--port", port, "--workers", "1"],
      // It answers under no other name, so that no page in a browser can reach it by one of its own.
      ...["--allowed-hosts", address],
      ...["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`],
      ...["--artifacts-destination", join(folder, "files")],
    ];
    const env = {
      ...process.env,
      MLFLOW_DISABLE_TELEMETRY: "true",
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: "false",
    };
    // A group of its own, as the server's workers are its children. It ends with its standard input, however the process
    // at the other end does.
    const script = '"$@" </dev/null & read -r _; kill 0';
    const server = spawn("sh", ["-c", script, "sh", program, ...args], { env, detached: true });
    for (const stream of [server.stdout, server.stderr]) stream.pipe(log, { end: false });
    const ended = once(server, "close");
    const stop = async () => {
      server.stdin.end();
      await Promise.race([ended, sleep(30_000)]);
      log.end();
    };
    const mlflow = new MlflowServer(`http://${address}`, stop);
    try {
      await waitFor(
        "MLflow to answer",
        () =>
          fetch(`${mlflow.url}/health`).then(
            ({ ok }) => ok,
            () => false,
          ),
        (ok) => ok,
        { timeoutMs: 180_000 },
      );
    } catch (error) {
      await stop();
      throw error;
    }
    return mlflow;
  }

  /** Every version of a registered model. */
  async versions(model: string): Promise<readonly RegisteredVersion[]> {
    const filter = encodeURIComponent(`name='${model}'`);
    const answer = await this.#get(`model-versions/search?filter=${filter}`);
    return (answer as { model_versions?: RegisteredVersion[] }).model_versions ?? [];
  }

  /** The version that an alias names. */
  async aliased(model: string, alias: string): Promise<RegisteredVersion> {
    const answer = await this.#get(`registered-models/alias?name=${model}&alias=${alias}`);
    return (answer as { model_version: RegisteredVersion }).model_version;
  }

  /** A run's metric at each step. */
  async metric(run: string, name: string): Promise<readonly { step: number; value: number }[]> {
    const answer = await this.#get(`metrics/get-history?run_id=${run}&metric_key=${name}`);
    return ((answer as { metrics?: { step?: string; value: number }[] }).metrics ?? []).map(
      ({ step, value }) => ({ step: Number(step ?? 0), value }),
    );
  }

  /** Every run of an experiment. */
  async runs(experiment: string): Promise<readonly TrackedRun[]> {
    const answer = await this.post("runs/search", { experiment_ids: [await this.experimentId(experiment)] });
    return (answer as { runs?: TrackedRun[] }).runs ?? [];
  }

  async experimentId(name: string): Promise<string> {
    const answer = await this.#get(`experiments/get-by-name?experiment_name=${name}`);
    return (answer as { experiment: { experiment_id: string } }).experiment.experiment_id;
  }

  /** @param path of the REST API, such as `runs/create` */
  post(path: string, body: object): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    return this.#ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  #get(path: string): Promise<unknown> {
    return this.#ask(path, {});
  }

  async #ask(path: string, init: RequestInit): Promise<unknown> {
    const answer = await fetch(`${this.url}/api/2.0/mlflow/${path}`, init);
    if (!answer.ok) throw new Error(`MLflow answered ${path} with ${answer.status}: ${await answer.text()}`);
    return answer.json();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}
