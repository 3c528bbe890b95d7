import {
  accept,
  type CallOptions,
  type KubeList,
  type ListOptions,
  named,
  type PatchContentType,
  type PropagationPolicy,
  parseJson,
  type Query,
  type WriteOptions,
  withQuery,
  writeQuery,
} from "./calls.ts";
import { type Connection, type KubeconfigOptions, loadConnection } from "./credentials.ts";
import { sleep } from "./deadline.ts";
import { type Impersonation, impersonationHeaders } from "./identity.ts";
import { KubeError } from "./kube-error.ts";
import { apiVersionOf, type KubeObject, type ResourceType, resourcePath } from "./resources.ts";
import { retryDelayMs } from "./retry.ts";
import { type HttpRequest, Transport } from "./transport.ts";

export type * from "./calls.ts";
export type { Impersonation } from "./identity.ts";

/** One HTTP attempt, for metrics: no name, no namespace, so that labels stay few. */
export interface RequestInfo {
  readonly verb: string;
  readonly kind: string;
  /** HTTP status; 0 when there was no answer. */
  readonly code: number;
  readonly durationMs: number;
}

export interface KubeClientOptions {
  readonly userAgent?: string;
  readonly onRequest?: (info: RequestInfo) => void;
}

interface Call {
  readonly verb: string;
  readonly kind: string;
  readonly idempotent: boolean;
  readonly request: Pick<HttpRequest, "method" | "path" | "body"> & { headers?: Record<string, string> };
}

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * The Kubernetes API over one pool of connections. Objects pass through as the server sent them.
 * Every failure is a {@link KubeError}, except a caller's abort, which rejects with the signal's reason.
 */
export class KubeClient {
  readonly #connection: Connection;
  readonly #transport: Transport;
  readonly #options: KubeClientOptions;
  readonly #as: Impersonation | undefined;

  constructor(
    connection: Connection,
    options: KubeClientOptions = {},
    shared?: { transport: Transport; as: Impersonation },
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#transport = shared?.transport ?? new Transport(connection);
    this.#as = shared?.as;
  }

  static fromKubeconfig(options: KubeconfigOptions & KubeClientOptions = {}): KubeClient {
    return new KubeClient(loadConnection(options), options);
  }

  /** The namespace of the kubeconfig's context, or of the pod. */
  get defaultNamespace(): string | undefined {
    return this.#connection.namespace;
  }

  /** The same client acting as somebody else; an `as` of a single call still goes first. */
  as(identity: Impersonation): KubeClient {
    impersonationHeaders(identity);
    return new KubeClient(this.#connection, this.#options, { transport: this.#transport, as: identity });
  }

  /** Ends every connection, also those of the views that {@link as} made. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  async get<T extends KubeObject = KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions & { subresource?: string; metadataOnly?: boolean } = {},
  ): Promise<T> {
    const object = await this.#json<T>(
      {
        verb: "get",
        kind: type.kind,
        idempotent: true,
        request: {
          method: "GET",
          path: resourcePath(type, namespace, name, options.subresource),
          headers: accept("PartialObjectMetadata", options.metadataOnly),
        },
      },
      options,
    );
    return options.metadataOnly ? named(type, object) : object;
  }

  /** One page; everything when no `limit` is given. Items get the apiVersion and kind that lists leave out. */
  async list<T extends KubeObject = KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
  ): Promise<KubeList<T>> {
    const { namespace, labelSelector, limit, resourceVersion } = options;
    const body = await this.#json<{
      items?: T[];
      metadata?: { resourceVersion?: string; continue?: string };
    }>(
      {
        verb: "list",
        kind: type.kind,
        idempotent: options.retry !== false,
        request: {
          method: "GET",
          path: withQuery(resourcePath(type, namespace), {
            labelSelector,
            limit,
            continue: options.continue,
            resourceVersion,
          }),
          headers: accept("PartialObjectMetadataList", options.metadataOnly),
        },
      },
      options,
    );
    return {
      items: (body.items ?? []).map((item) => named(type, item)),
      resourceVersion: body.metadata?.resourceVersion ?? "",
      continue: body.metadata?.continue || undefined,
    };
  }

  create<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#json<T>(
      {
        verb: "create",
        kind: type.kind,
        idempotent: false,
        request: {
          method: "POST",
          // A subresource (eviction, token) is posted to the object, anything else to the collection.
          path: withQuery(
            resourcePath(
              type,
              object.metadata.namespace,
              options.subresource ? object.metadata.name : undefined,
              options.subresource,
            ),
            writeQuery(options),
          ),
          body: JSON.stringify(object),
        },
      },
      options,
    );
  }

  /** PUT; with `metadata.resourceVersion` it is an optimistic lock and a lost one is a Conflict. */
  replace<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions = {}): Promise<T> {
    const { name, namespace, resourceVersion } = object.metadata;
    return this.#json<T>(
      {
        verb: "update",
        kind: type.kind,
        // Repeating a locked write that did take effect would look like a lost lock.
        idempotent: resourceVersion === undefined,
        request: {
          method: "PUT",
          path: withQuery(resourcePath(type, namespace, name, options.subresource), writeQuery(options)),
          body: JSON.stringify(object),
        },
      },
      options,
    );
  }

  /** Resolves when the server accepted the deletion; finalizers may keep the object for longer. */
  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions & {
      preconditions?: { uid?: string; resourceVersion?: string };
      propagationPolicy?: PropagationPolicy;
      dryRun?: boolean;
    } = {},
  ): Promise<void> {
    const { preconditions, propagationPolicy, dryRun } = options;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      ...(preconditions ? { preconditions } : {}),
      ...(propagationPolicy ? { propagationPolicy } : {}),
      ...(dryRun ? { dryRun: ["All"] } : {}),
    };
    await this.#json(
      {
        verb: "delete",
        kind: type.kind,
        idempotent: true,
        request: { method: "DELETE", path: resourcePath(type, namespace, name), body: JSON.stringify(body) },
      },
      options,
    );
  }

  patch<T extends KubeObject = KubeObject>(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    body: unknown,
    options: WriteOptions & { contentType: PatchContentType; force?: boolean },
  ): Promise<T> {
    const { contentType, force } = options;
    const isApply = contentType === "application/apply-patch+yaml";
    return this.#json<T>(
      {
        verb: isApply ? "apply" : "patch",
        kind: type.kind,
        idempotent: isApply || contentType === "application/merge-patch+json",
        request: {
          method: "PATCH",
          path: withQuery(resourcePath(type, namespace, name, options.subresource), {
            ...writeQuery(options),
            force: isApply ? (force ?? false) : undefined,
          }),
          headers: { "content-type": contentType },
          body: JSON.stringify(body),
        },
      },
      options,
    );
  }

  /** Server-side apply. Without `force`, a field that another manager owns is a Conflict. */
  apply<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: WriteOptions & { fieldManager: string; force?: boolean },
  ): Promise<T> {
    // The server refuses an apply that carries managedFields.
    const { managedFields: _, ...metadata } = object.metadata;
    const body = { ...object, apiVersion: apiVersionOf(type), kind: type.kind, metadata };
    return this.patch<T>(type, metadata.namespace, metadata.name, body, {
      ...options,
      contentType: "application/apply-patch+yaml",
    });
  }

  serverVersion(options: CallOptions = {}): Promise<{ major: string; minor: string; gitVersion: string }> {
    return this.getPath("/version", options);
  }

  /** Any other GET that answers JSON, such as discovery (`/apis`). */
  getPath<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#json<T>(
      { verb: "get", kind: "", idempotent: true, request: { method: "GET", path } },
      options,
    );
  }

  /**
   * Opens a GET whose body goes on, such as a watch or a log. Tried once: the caller has the state to
   * go on from. `timeoutMs` limits the wait for the first byte of the answer.
   */
  async stream(
    path: string,
    options: CallOptions & { query?: Query; accept?: string; verb?: string; kind?: string } = {},
  ): Promise<AsyncIterable<Uint8Array> & { destroy(): void }> {
    const request = this.#request(
      {
        verb: options.verb ?? "stream",
        kind: options.kind ?? "",
        idempotent: false,
        request: {
          method: "GET",
          path: withQuery(path, options.query ?? {}),
          headers: { accept: options.accept ?? "*/*" },
        },
      },
      options,
      options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    );
    return this.#observed(options.verb ?? "stream", options.kind ?? "", async () => ({
      status: 200,
      value: await this.#transport.open(request),
    }));
  }

  async #json<T>(call: Call, options: CallOptions): Promise<T> {
    const end = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    for (let tried = 1; ; tried++) {
      try {
        const request = this.#request(call, options, Math.max(1, end - performance.now()));
        return await this.#observed(call.verb, call.kind, async () => {
          const { status, text } = await this.#transport.send(request);
          return { status, value: parseJson<T>(text, request) };
        });
      } catch (error) {
        const wait = retryDelayMs(error, { tried, idempotent: call.idempotent, random: Math.random() });
        if (wait === undefined || performance.now() + wait >= end) throw error;
        await sleep(wait, options.signal);
      }
    }
  }

  #request(call: Call, options: CallOptions, timeoutMs: number): HttpRequest {
    return {
      ...call.request,
      headers: {
        accept: "application/json",
        "user-agent": this.#options.userAgent ?? "slipway",
        ...(call.request.body === undefined ? {} : { "content-type": "application/json" }),
        ...call.request.headers,
        ...impersonationHeaders(options.as ?? this.#as),
      },
      timeoutMs: Math.round(timeoutMs),
      ...(options.signal ? { signal: options.signal } : {}),
    };
  }

  async #observed<T>(
    verb: string,
    kind: string,
    work: () => Promise<{ status: number; value: T }>,
  ): Promise<T> {
    const started = performance.now();
    let code = 0;
    try {
      const { status, value } = await work();
      code = status;
      return value;
    } catch (error) {
      if (error instanceof KubeError) code = error.status;
      throw error;
    } finally {
      this.#options.onRequest?.({ verb, kind, code, durationMs: performance.now() - started });
    }
  }
}
