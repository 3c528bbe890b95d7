import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fill } from "./fill.ts";
import { type Call, OPERATIONS, type Reply } from "./github-operations.ts";
import { GitHubState } from "./github-state.ts";
import { isRecord, type Json, OpenApi, type Operation } from "./openapi.ts";

const DOCUMENT = join(import.meta.dirname, "testdata/github-openapi.json");

/** What happens to the next call of an operation instead of, or after, what it asks. */
export interface Fault {
  readonly operation: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly message?: string;
  /** Done, but the connection breaks before the answer. */
  readonly loseAnswer?: boolean;
  /** No answer at all. */
  readonly hang?: boolean;
}

/** A GitHub whose every request and answer is checked against GitHub's own OpenAPI document. */
export class GitHubServer {
  readonly api = new OpenApi(JSON.parse(readFileSync(DOCUMENT, "utf8")));
  readonly state: GitHubState;
  readonly tokens = new Map<string, string>();
  /** Everything that was not as the document says; a test ends with none. */
  readonly violations: string[] = [];
  /** Operation ids in the order they came. */
  readonly calls: string[] = [];
  readonly faults: Fault[] = [];
  app: { readonly id: number; readonly installation: number; readonly publicKey: KeyObject } | undefined;
  #issued = 0;
  readonly #server: Server;

  private constructor(repository: string) {
    this.state = new GitHubState(repository);
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        this.violations.push(`the fake failed: ${String(error)}`);
        response.writeHead(500).end();
      });
    });
  }

  static async start(repository: string): Promise<GitHubServer> {
    const server = new GitHubServer(repository);
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  setApp(id: number, installation: number, publicKeyPem: string): void {
    this.app = { id, installation, publicKey: createPublicKey(publicKeyPem) };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString("utf8");
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const { pathname: path, searchParams: query } = url;

    const operation = this.api.match({ method: request.method ?? "", path, query, body });
    if (!operation) {
      this.violations.push(`${request.method} ${path} is no operation of the document`);
      return send(response, 404, { message: "Not Found" });
    }
    this.calls.push(operation.id);
    if (operation.problems.length > 0) {
      this.violations.push(...operation.problems.map((problem) => `${operation.id}: ${problem}`));
      return send(response, 422, { message: operation.problems.join("; ") });
    }

    const index = this.faults.findIndex((fault) => fault.operation === operation.id);
    const fault = index < 0 ? undefined : this.faults.splice(index, 1)[0];
    if (fault?.hang) return;
    if (fault?.status !== undefined) {
      return send(response, fault.status, { message: fault.message ?? "fault" }, fault.headers);
    }
    const authorization = request.headers.authorization ?? "";
    const reply = this.#reply(
      operation,
      { parameters: operation.parameters, query, body: body as Json },
      authorization,
    );
    if (fault?.loseAnswer) return void request.socket.destroy();
    this.#answer(response, operation, reply, url);
  }

  #reply(operation: Operation, call: Omit<Call, "login">, authorization: string): Reply {
    const [scheme = "", credential = ""] = authorization.split(" ");
    if (operation.id.startsWith("apps/")) {
      if (scheme !== "bearer" || !this.#isApp(credential)) {
        return { status: 401, body: { message: "A JSON web token could not be decoded" } };
      }
      if (operation.id !== "apps/create-installation-access-token") {
        return OPERATIONS[operation.id]!(this.state, { ...call, login: "" });
      }
      if (Number(call.parameters.installation_id) !== this.app?.installation) {
        return { status: 404, body: { message: "Not Found" } };
      }
      const token = `ghs_${++this.#issued}`;
      this.tokens.set(token, "slipway[bot]");
      return { status: 201, body: { token, expires_at: new Date(Date.now() + 3_600_000).toISOString() } };
    }
    const login = scheme === "token" ? this.tokens.get(credential) : undefined;
    if (login === undefined) return { status: 401, body: { message: "Bad credentials" } };
    const { owner, repo } = call.parameters;
    if (owner !== undefined && `${owner}/${repo}` !== this.state.repository) {
      return { status: 404, body: { message: "Not Found" } };
    }
    return OPERATIONS[operation.id]!(this.state, { ...call, login });
  }

  /** An App's JSON web token: RS256, issued by its id, not expired. */
  #isApp(jwt: string): boolean {
    const [head = "", claims = "", signature = ""] = jwt.split(".");
    if (!this.app) return false;
    const read = (part: string): Json => JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    const signed = Buffer.from(`${head}.${claims}`);
    const { iss, exp } = read(claims);
    const fresh = Number(exp) > Date.now() / 1000 && Number(exp) <= Date.now() / 1000 + 600;
    const genuine = verify("sha256", signed, this.app.publicKey, Buffer.from(signature, "base64url"));
    return genuine && fresh && Number(iss) === this.app.id && read(head).alg === "RS256";
  }

  #answer(response: ServerResponse, operation: Operation, reply: Reply, url: URL): void {
    const headers: Record<string, string> = {};
    let given = reply.body;
    if (reply.list) {
      const size = Number(url.searchParams.get("per_page") ?? 30);
      const page = Number(url.searchParams.get("page") ?? 1);
      given = reply.list.slice((page - 1) * size, page * size);
      if (page * size < reply.list.length) {
        const next = new URL(url);
        next.searchParams.set("page", String(page + 1));
        headers.link = `<${next}>; rel="next"`;
      }
    }
    const schema = operation.answerSchema(reply.status);
    const body = isRecord(schema) && Object.keys(schema).length > 0 ? fill(this.api, schema, given) : given;
    const problems = operation.checkAnswer(reply.status, body);
    this.violations.push(...problems.map((problem) => `${operation.id} answers: ${problem}`));
    send(response, reply.status, body, headers);
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
  response.end(body === undefined ? "" : JSON.stringify(body));
}
