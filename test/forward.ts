import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request,
  type ServerResponse,
} from "node:http";

/** Answers with what another server answers; ends with whichever side ends first. The caller sends the body. */
export function forward(response: ServerResponse, to: RequestOptions): ClientRequest {
  const outgoing = request(to, (answer: IncomingMessage) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on("error", () => response.destroy());
  response.on("close", () => outgoing.destroy());
  return outgoing;
}
