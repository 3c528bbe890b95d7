/*
 * A small OpenAI-compatible server for tests on a node, run with the controller image's Node from a command line: it
 * answers what its environment says, so that a revision is good or bad by what it does. Where it has a model, and
 * adapters, it answers what lies in their folders. With HOLD it is not ready until it is told to go on, and answers
 * nobody until it is told so once more.
 */
const { readFileSync } = await import("node:fs");
const { createServer } = await import("node:http");
const { SLIPWAY_MODEL_NAME: model, SLIPWAY_PORT: port, ANSWER, VERSION, CRASH, HOLD } = process.env;
const { SLIPWAY_MODEL: folder, SLIPWAY_ADAPTERS: adapters } = process.env;
const folders = [folder, ...(adapters?.split(",") ?? []).map((adapter) => adapter.split("=")[1])];
const content = folder
  ? folders.map((each) => readFileSync(`${each}/answer.txt`, "utf8")).join(" ")
  : `${ANSWER} ${VERSION}`;
if (CRASH) {
  console.error(`this version cannot start: ${VERSION}`);
  process.exit(3);
}
let holds = HOLD ? 2 : 0;
const waiting = [];
let stopping = false;
const server = createServer((request, response) => {
  // A server that is about to stop asks its clients to connect anew, elsewhere.
  if (stopping) response.setHeader("connection", "close");
  const send = (value) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(value));
  };
  request.resume().on("end", () => {
    if (request.url === "/waiting") return send(waiting.length);
    if (request.url === "/go-on") {
      send(waiting.length);
      if (--holds === 0) for (const answer of waiting.splice(0)) answer();
      return;
    }
    if (request.url === "/health") {
      if (holds > 1) response.statusCode = 503;
      return send({ status: response.statusCode });
    }
    if (request.url === "/v1/models") return send({ object: "list", data: [{ id: model, object: "model" }] });
    const message = { role: "assistant", content };
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    const answer = () =>
      send({
        id: "1",
        object: "chat.completion",
        model,
        choices: [{ index: 0, message, finish_reason: "stop" }],
        usage,
      });
    if (holds > 0) waiting.push(answer);
    else setTimeout(answer, 50);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port));
process.on("SIGTERM", () => {
  stopping = true;
  setTimeout(() => server.close(() => process.exit(0)), 3_000);
});
