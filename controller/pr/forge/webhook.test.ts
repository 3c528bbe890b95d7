import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeliveryLog } from "./delivery-log.ts";
import { handleWebhook, MAX_WEBHOOK_BYTES, type WebhookRequest, type WebhookSecret } from "./webhook.ts";
import { signBody, verifySignature } from "./webhook-signature.ts";

const SECRET = "s3cret";
const repository = { full_name: "team/app" };
const secrets: WebhookSecret[] = [
  { owner: "prod/app", repository: "Team/App", secret: SECRET },
  { owner: "prod/app-evals", repository: "team/app", secret: SECRET },
  { owner: "other/lib", repository: "team/lib", secret: "another" },
];

function bytes(payload: unknown): Uint8Array {
  return Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
}

function github(event: string, payload: unknown, secret = SECRET, delivery = "d-1"): WebhookRequest {
  const body = bytes(payload);
  const headers = {
    "content-type": "application/json",
    "x-github-event": event,
    "x-github-delivery": delivery,
    "x-hub-signature-256": `sha256=${signBody(body, secret)}`,
  };
  return { headers, body };
}

/** Gitea signs both ways and sends GitHub's headers beside its own. */
function gitea(event: string, payload: unknown, secret = SECRET): WebhookRequest {
  const like = github(event, payload, secret);
  const own = {
    "x-gitea-event": event,
    "x-gitea-delivery": "g-1",
    "x-gitea-signature": signBody(like.body, secret),
  };
  return { ...like, headers: { ...like.headers, ...own } };
}

const handle = (request: WebhookRequest, log = new DeliveryLog()) => handleWebhook(request, secrets, log);

describe("the signature", () => {
  it("is GitHub's own example", () => {
    // docs.github.com, "Validating webhook deliveries", test values.
    const example = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const body = Buffer.from("Hello, World!");
    expect(verifySignature(body, example, "It's a Secret to Everybody")).toBe(true);
    expect(verifySignature(body, example.toUpperCase(), "It's a Secret to Everybody")).toBe(true);
    expect(verifySignature(Buffer.from("Hello, World?"), example, "It's a Secret to Everybody")).toBe(false);
  });

  it("of nothing, of another length or with an empty secret is none", () => {
    const body = Buffer.from("x");
    expect(verifySignature(body, "", SECRET)).toBe(false);
    expect(verifySignature(body, signBody(body, SECRET).slice(2), SECRET)).toBe(false);
    expect(verifySignature(body, signBody(body, ""), "")).toBe(false);
  });

  it("is over the bytes, not over equal JSON", () => {
    const request = github("push", '{"ref": "refs/heads/main", "repository": {"full_name": "team/app"}}');
    expect(handle(request).status).toBe(202);
    expect(handle({ ...request, body: bytes(JSON.parse(Buffer.from(request.body).toString())) }).status).toBe(
      401,
    );
  });

  it.each([
    ["none", {}],
    ["sha1 only", { "x-hub-signature": "sha1=0000000000000000000000000000000000000000" }],
    [
      "bare hex where GitHub writes sha256=",
      { "x-hub-signature-256": signBody(bytes({ repository }), SECRET) },
    ],
    ["GitHub's for an event said to be Gitea's", { "x-gitea-event": "push" }],
  ])("refuses %s", (_what, headers) => {
    const base = { "content-type": "application/json", "x-github-event": "push" };
    const signed =
      "x-gitea-event" in headers
        ? { "x-hub-signature-256": `sha256=${signBody(bytes({ repository }), SECRET)}` }
        : {};
    expect(handle({ headers: { ...base, ...signed, ...headers }, body: bytes({ repository }) }).status).toBe(
      401,
    );
  });

  it("vouches only for its own repository", () => {
    const about = { ref: "refs/heads/main", repository: { full_name: "team/lib" } };
    expect(handle(github("push", about, SECRET))).toMatchObject({ status: 401 });
    expect(handle(github("push", about, "another"))).toMatchObject({ status: 202, owners: ["other/lib"] });
  });

  it("refuses everything without a secret", () => {
    expect(handleWebhook(github("push", { repository }), [], new DeliveryLog()).status).toBe(401);
  });
});

describe("an event", () => {
  const pull = { number: 7, pull_request: {}, repository };
  const comment = { id: 3, body: "/ok-to-test abc", user: { login: "alice" } };

  it("wakes every Repository of that secret and name", () => {
    const answer = handle(github("push", { ref: "refs/heads/feature/x", repository }));
    expect(answer).toEqual({
      status: 202,
      message: "accepted",
      owners: ["prod/app", "prod/app-evals"],
      event: {
        forge: "GitHub",
        event: "push",
        deliveryId: "d-1",
        repository: "team/app",
        branch: "feature/x",
      },
    });
  });

  it("of a tag has no branch", () => {
    const answer = handle(github("push", { ref: "refs/tags/main", repository }));
    expect(answer.event).toMatchObject({ event: "push" });
    expect(answer.event?.branch).toBeUndefined();
  });

  it("about a pull request carries its number, in both forges' words", () => {
    const fromGitHub = handle(github("pull_request", { action: "synchronize", ...pull }));
    expect(fromGitHub.event).toMatchObject({
      forge: "GitHub",
      event: "pull_request",
      action: "synchronize",
      number: 7,
    });
    const fromGitea = handle(gitea("pull_request", { action: "synchronized", ...pull }));
    expect(fromGitea.event).toMatchObject({
      forge: "Gitea",
      action: "synchronized",
      number: 7,
      deliveryId: "g-1",
    });
  });

  it("about a comment carries it when it is on a pull request", () => {
    const expected = {
      event: "issue_comment",
      number: 7,
      comment: { id: "3", author: "alice", body: comment.body },
    };
    const onGitHub = {
      action: "created",
      repository,
      comment,
      issue: { number: 7, pull_request: { url: "u" } },
    };
    expect(handle(github("issue_comment", onGitHub)).event).toMatchObject(expected);
    const onGitea = { action: "created", repository, comment, issue: { number: 7 }, is_pull: true };
    expect(handle(gitea("issue_comment", onGitea)).event).toMatchObject(expected);
    const onIssue = { action: "created", repository, comment, issue: { number: 7 } };
    expect(handle(github("issue_comment", onIssue))).toEqual({
      status: 200,
      message: "nothing to do for this event",
    });
    const onGiteaIssue = { ...onGitea, is_pull: false, issue: { number: 7, pull_request: null } };
    expect(handle(gitea("issue_comment", onGiteaIssue)).event).toBeUndefined();
  });

  it("of another kind or shape is taken and left", () => {
    expect(handle(github("ping", { zen: "…", repository }))).toEqual({ status: 200, message: "pong" });
    expect(handle(github("star", { action: "created", repository })).status).toBe(200);
    expect(handle(github("pull_request", { action: "opened", number: "7", repository })).status).toBe(200);
    expect(handle(github("push", [])).status).toBe(200);
  });

  it("is taken once", () => {
    const log = new DeliveryLog();
    const request = github("push", { ref: "refs/heads/main", repository });
    expect(handle(request, log).status).toBe(202);
    expect(handle(request, log)).toEqual({ status: 200, message: "this delivery was taken before" });
  });

  it("that was refused does not use up its delivery id", () => {
    const log = new DeliveryLog();
    handle(github("push", { ref: "refs/heads/main", repository }, "wrong", "d-9"), log);
    expect(handle(github("push", { ref: "refs/heads/main", repository }, SECRET, "d-9"), log).status).toBe(
      202,
    );
  });
});

describe("a bad request", () => {
  it("is too large before anything else", () => {
    const body = Buffer.alloc(MAX_WEBHOOK_BYTES + 1, " ");
    expect(handle({ headers: {}, body }).status).toBe(413);
    const largest = `{"repository":{"full_name":"team/app"},"ref":"refs/heads/main"}`.padEnd(
      MAX_WEBHOOK_BYTES,
    );
    expect(handle(github("push", largest)).status).toBe(202);
  });

  it("is no JSON, not said to be JSON, or nameless", () => {
    expect(handle(github("push", "{"))).toMatchObject({ status: 400 });
    const form = github("push", { repository });
    const headers = { ...form.headers, "content-type": "application/x-www-form-urlencoded" };
    expect(handle({ ...form, headers }).status).toBe(415);
    expect(handle(github("", { repository })).status).toBe(400);
  });
});

describe("whatever comes", () => {
  const names = [
    "content-type",
    "x-github-event",
    "x-github-delivery",
    "x-hub-signature-256",
    "x-gitea-event",
    "x-gitea-delivery",
    "x-gitea-signature",
  ];
  const value = fc.oneof(fc.string(), fc.array(fc.string()), fc.constant(undefined));

  it("never throws and never accepts what is not signed", () => {
    const headers = fc.dictionary(fc.constantFrom(...names), value);
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 200 }), (some, body) => {
        expect([401, 413]).toContain(handle({ headers: some, body }).status);
      }),
      { numRuns: 2000 },
    );
  });

  it("never throws on signed nonsense", () => {
    const event = fc.constantFrom("push", "pull_request", "issue_comment", "ping", "__proto__", "x");
    const key = fc.constantFrom(
      "repository",
      "full_name",
      "ref",
      "number",
      "issue",
      "comment",
      "action",
      "__proto__",
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom("team/app", "refs/heads/main", "", null, 7, -1, 1e300, true),
        fc.dictionary(key, tie("tree")),
        fc.array(tie("tree"), { maxLength: 3 }),
      ),
    }));
    fc.assert(
      fc.property(event, fc.oneof(tree, fc.jsonValue()), fc.boolean(), (name, payload, asGitea) => {
        const answer = handle((asGitea ? gitea : github)(name, payload));
        expect([200, 202, 400, 401]).toContain(answer.status);
        if (answer.status === 202) expect(answer.event?.repository).toBe("team/app");
        else expect(answer.event).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });
});
