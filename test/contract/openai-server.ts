import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fill } from "./fill.ts";
import { isRecord, type Json, OpenApi } from "./openapi.ts";

const DOCUMENT = join(import.meta.dirname, "testdata/openai-openapi.json");
export const KEY = "sk-test-0123456789";

/** What happens to the next call of an operation. */
export interface ProviderFault {
  readonly operation: string;
  readonly status?: number;
  /** Done, but the connection breaks before the answer. */
  readonly loseAnswer?: boolean;
}

interface StoredJob {
  id: string;
  status: string;
  metadata: Record<string, string>;
  body: Json;
  fine_tuned_model?: string;
  trained_tokens?: number;
  error?: { code: string; message: string; param: null };
}

/** OpenAI's files and fine-tuning jobs; every request and answer is checked against its published document. */
export class OpenAiServer {
  readonly api = new OpenApi(JSON.parse(readFileSync(DOCUMENT, "utf8")));
  /** Everything that was not as the document says; a test ends with none. */
  readonly violations: string[] = [];
  readonly calls: string[] = [];
  readonly faults: ProviderFault[] = [];
  readonly files: { id: string; filename: string; bytes: number; content: string }[] = [];
  readonly jobs: StoredJob[] = [];
  /** Lists show a job only after so many more lists: as a list that lags. */
  lag = 0;
  readonly #server: Server;
  readonly #visibleAfter = new Map<string, number>();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        this.violations.push(`the fake failed: ${String(error)}`);
        response.writeHead(500).end();
      });
    });
  }

  static async start(): Promise<OpenAiServer> {
    const server = new OpenAiServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get baseURL(): string {
    return `http://${this.host}/v1`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", `http://${this.host}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const data = Buffer.concat(chunks);
    const type = request.headers["content-type"] ?? "";
    const form = type.startsWith("multipart/form-data")
      ? await new Response(data, { headers: { "content-type": type } }).formData()
      : undefined;
    const body: unknown = form || data.length === 0 ? undefined : JSON.parse(data.toString("utf8"));
    // `metadata[key]=value` is one parameter in the document's deepObject style.
    const query = new URLSearchParams(
      [...url.searchParams].filter(([name]) => !name.startsWith("metadata[")),
    );
    const path = url.pathname.replace(/^\/v1/, "");
    const operation = this.api.match({ method: request.method ?? "", path, query, body });
    if (!operation) {
      this.violations.push(`${request.method} ${path} is no operation of the document`);
      return send(response, 404, { error: { message: "no such operation" } });
    }
    this.calls.push(operation.id);
    this.violations.push(...operation.problems);
    if (request.headers.authorization !== `Bearer ${KEY}`)
      return send(response, 401, {
        error: { message: `Incorrect API key provided: ${request.headers.authorization}` },
      });
    const fault = this.faults.findIndex((each) => each.operation === operation.id);
    const [failing] = fault < 0 ? [] : this.faults.splice(fault, 1);
    if (failing?.status !== undefined)
      return send(response, failing.status, {
        error: { message: "as the test says", code: null, param: null, type: "x" },
      });
    const given = form
      ? await this.#upload(form)
      : this.#answer(operation.id, operation.parameters, url, body as Json);
    if (failing?.loseAnswer) return void response.destroy();
    if (!given) return send(response, 404, { error: { message: "no such job" } });
    const answer = fill(this.api, operation.answerSchema(200), given);
    this.violations.push(...operation.checkAnswer(200, answer));
    send(response, 200, answer);
  }

  async #upload(form: FormData): Promise<Json> {
    const file = form.get("file");
    if (!(file instanceof File) || form.get("purpose") !== "fine-tune")
      this.violations.push("a file that is none");
    const content = await (file as File).text();
    const stored = {
      id: `file-${this.files.length + 1}`,
      filename: (file as File).name,
      bytes: Buffer.byteLength(content),
      content,
    };
    this.files.push(stored);
    return fileOf(stored);
  }

  #answer(
    operation: string,
    { fine_tuning_job_id: id }: Readonly<Record<string, string>>,
    url: URL,
    body: Json,
  ): Json | undefined {
    const job = this.jobs.find((each) => each.id === id);
    switch (operation) {
      case "listFiles":
        return { object: "list", data: this.files.map(fileOf), has_more: false, first_id: "f", last_id: "l" };
      case "createFineTuningJob": {
        const made = {
          id: `ftjob-${this.jobs.length + 1}`,
          status: "queued",
          metadata: body.metadata as Record<string, string>,
          body,
        };
        this.jobs.push(made);
        this.#visibleAfter.set(made.id, this.lag);
        return jobOf(made);
      }
      case "listPaginatedFineTuningJobs":
        return { object: "list", data: this.#listed(url).map(jobOf), has_more: false };
      case "cancelFineTuningJob":
        if (job) job.status = "cancelled";
        return job && jobOf(job);
      default:
        return job && jobOf(job);
    }
  }

  #listed(url: URL): StoredJob[] {
    const wanted = [...url.searchParams].flatMap(([name, value]) => {
      const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
      return key === undefined ? [] : [[key, value] as const];
    });
    return this.jobs.filter(({ id, metadata }) => {
      const left = this.#visibleAfter.get(id) ?? 0;
      this.#visibleAfter.set(id, left - 1);
      return left <= 0 && wanted.every(([key, value]) => metadata[key] === value);
    });
  }
}

const fileOf = ({
  content: _,
  ...file
}: {
  id: string;
  filename: string;
  bytes: number;
  content: string;
}): Json => ({
  ...file,
  purpose: "fine-tune",
  status: "processed",
});

const jobOf = ({ id, status, metadata, body, fine_tuned_model, trained_tokens, error }: StoredJob): Json => ({
  id,
  status,
  metadata,
  model: body.model,
  training_file: body.training_file,
  fine_tuned_model: fine_tuned_model ?? null,
  trained_tokens: trained_tokens ?? null,
  error: error ?? null,
  finished_at: null,
  validation_file: (body.validation_file as string | undefined) ?? null,
});

function send(response: ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { "content-type": "application/json" })
    .end(JSON.stringify(isRecord(body) ? body : {}));
}
