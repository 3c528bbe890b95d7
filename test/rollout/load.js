/*
 * Load on a Service from a pod: a few clients that keep their connections, as applications do. Every answer that is no
 * success, or that a bad revision gave, is kept; GET / on port 9000 tells what happened so far.
 */
const { createServer } = await import("node:http");
const { URL_OF_MODEL: url, CLIENTS } = process.env;
const said = { requests: 0, failed: [], bad: [], versions: {} };
const body = JSON.stringify({ model: "triage", messages: [{ role: "user", content: "yes?" }] });
async function ask() {
  try {
    const answer = await fetch(`${url}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const text = await answer.text();
    said.requests++;
    if (!answer.ok) return said.failed.push(`HTTP ${answer.status} ${text.slice(0, 200)}`);
    const { content } = JSON.parse(text).choices[0].message;
    const [verdict, version] = content.split(" ");
    said.versions[version] = (said.versions[version] ?? 0) + 1;
    if (verdict !== "yes") said.bad.push(content);
  } catch (error) {
    said.requests++;
    said.failed.push(`${new Date().toISOString()} ${error.message}: ${error.cause?.message ?? ""}`);
  }
}
async function client() {
  for (;;) {
    await ask();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
for (let i = 0; i < Number(CLIENTS); i++) void client();
createServer((_, response) => response.end(JSON.stringify(said))).listen(9000);
