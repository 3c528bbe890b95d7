import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

export interface Probe {
  readonly url: string;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly token?: string | undefined;
  readonly timeoutMs?: number;
}

/** The HTTP status of a GET, or undefined when there is no answer that can be trusted. */
export async function probe({ url, ca, token, timeoutMs = 2_000 }: Probe): Promise<number | undefined> {
  return new Promise((resolve) => {
    const options = {
      agent: false as const,
      signal: AbortSignal.timeout(timeoutMs),
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    };
    const request = url.startsWith("https:")
      ? httpsRequest(url, { ...options, ca })
      : httpRequest(url, options);
    request.once("error", () => resolve(undefined));
    request.once("response", (response) => {
      response.resume();
      response.once("error", () => {});
      resolve(response.statusCode);
    });
    request.end();
  });
}
