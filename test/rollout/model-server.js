/*
 * A small OpenAI-compatible server for rollout tests, run with the controller image's Node from a command line: it
 * answers what its environment says, so that a revision is good or bad by what it does.
 */
const { createServer } = await import("node:http");
const { SLIPWAY_MODEL_NAME: model, SLIPWAY_PORT: port, ANSWER, VERSION, CRASH } = process.env;
if (CRASH) {
  console.error(`this version cannot start: ${VERSION}`);
  process.exit(3);
}
let stopping = false;
const server = createServer((request, response) => {
  // A server that is about to stop asks its clients to connect anew, elsewhere.
  if (stopping) response.setHeader("connection", "close");
  const send = (value) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(value));
  };
  request.resume().on("end", () => {
    if (request.url === "/health") return send({ status: "ok" });
    if (request.url === "/v1/models") return send({ object: "list", data: [{ id: model, object: "model" }] });
    const message = { role: "assistant", content: `${ANSWER} ${VERSION}` };
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    setTimeout(
      () =>
        send({
          id: "1",
          object: "chat.completion",
          model,
          choices: [{ index: 0, message, finish_reason: "stop" }],
          usage,
        }),
      50,
    );
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(port));
process.on("SIGTERM", () => {
  stopping = true;
  setTimeout(() => server.close(() => process.exit(0)), 3_000);
});
