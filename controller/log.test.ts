import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";

/** Written out, so that one that is forgotten there is missed here. */
const KEYS = [
  "authorization",
  "Authorization",
  "token",
  "apiKey",
  "password",
  "secret",
  "cookie",
  "privateKey",
];
const DEPTHS = [1, 2, 3, 4];
const VALUE = "hunter2";
const CENSORED = "[redacted]";

/** What a process of its own writes to stderr, where the logger writes, a line each. */
function logged(statements: string, env: NodeJS.ProcessEnv = {}): Record<string, unknown>[] {
  const code = `import { createLogger } from ${JSON.stringify(import.meta.resolve("./log.ts"))};\n${statements}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 15_000,
  });
  expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: "" });
  return stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** `{ in: { in: { key: value, id: 7 } } }`, where depth 1 is the innermost alone. */
function nested(key: string, depth: number, value: unknown): Record<string, unknown> {
  return depth === 1 ? { [key]: value, id: 7 } : { in: nested(key, depth - 1, value) };
}

const CASES = KEYS.flatMap((key) => DEPTHS.map((depth) => ({ key, depth })));

describe.each([
  ["a field of a line", "log.info(fields, 'said')"],
  ["a field that a child logger adds to each line", "log.child(fields).info('said')"],
])("%s", (_, statement) => {
  let lines: Record<string, unknown>[];
  beforeAll(() => {
    const all = CASES.map(({ key, depth }) => nested(key, depth, VALUE));
    lines = logged(`const log = createLogger("info");
      for (const fields of ${JSON.stringify(all)}) ${statement};`);
  });

  test.each(CASES.map((each, index) => ({ ...each, index })))(
    "$key, $depth deep, is taken out and what stands beside it stays",
    ({ key, depth, index }) => {
      expect(JSON.stringify(lines[index])).not.toContain(VALUE);
      expect(lines[index]).toEqual({
        level: 30,
        time: expect.any(String),
        msg: "said",
        ...nested(key, depth, CENSORED),
      });
    },
  );

  test("has a line for each", () => expect(lines).toHaveLength(CASES.length));
});

test("an error's request loses its headers' credentials and keeps the rest", () => {
  const [line] = logged(`
    const request = { url: "https://api.example.com", headers: { authorization: "${VALUE}", accept: "*/*" } };
    createLogger("info").warn({ err: Object.assign(new Error("refused"), { token: "${VALUE}", request }) });`);
  expect(JSON.stringify(line)).not.toContain(VALUE);
  expect(line).toMatchObject({
    err: {
      message: "refused",
      token: CENSORED,
      request: { url: "https://api.example.com", headers: { authorization: CENSORED, accept: "*/*" } },
    },
  });
});

test("a secret is taken out of a list, as a whole, and of a message's arguments", () => {
  const lines = logged(`const log = createLogger("info");
    log.info({ list: [{ token: "${VALUE}" }], secret: { inner: "${VALUE}" } });
    log.info("with %j", { password: "${VALUE}" });`);
  expect(JSON.stringify(lines)).not.toContain(VALUE);
  expect(lines).toMatchObject([
    { list: [{ token: CENSORED }], secret: CENSORED },
    { msg: `with {"password":"${CENSORED}"}` },
  ]);
});

test("SLIPWAY_LOG_LEVEL says how much is written", () => {
  const lines = logged(`const log = createLogger(); log.info("no"); log.warn("yes");`, {
    SLIPWAY_LOG_LEVEL: "warn",
  });
  expect(lines.map(({ msg }) => msg)).toEqual(["yes"]);
});
