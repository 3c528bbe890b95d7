import { expect, test } from "vitest";
import { repositoryWith } from "../../../test/pull-request.ts";
import type { KubeObject } from "../../kube/resources.ts";
import type { Intent } from "../../store/store.ts";
import { readBefore } from "./read-before.ts";

const WEB = { name: "web", url: "https://example.com/a.jsonl" };
const FILES = [{ path: "a.jsonl", digest: "sha256:a", bytes: 9 }];

/** The Repository support/llm beside one Dataset that was read. */
function read(labels: Record<string, string> | undefined, { apply = true, uid = "u1" } = {}) {
  const repository = repositoryWith();
  const object = { metadata: { name: "web", namespace: "support", uid, ...(labels ? { labels } : {}) } };
  const look = {
    input: { namespace: "support", serviceAccountName: "slipway", sources: [WEB] },
    output: { sources: [{ name: "web", resolved: WEB.url, files: FILES }] },
  };
  return (dataset: string) =>
    readBefore({ ...repository, spec: { ...repository.spec, apply } }, dataset, {
      datasets: { get: (key) => (key === "support/web" ? (object as unknown as KubeObject) : undefined) },
      intents: {
        lastSucceeded: (owner, effect) =>
          owner === "Dataset/support/web/u1" && effect === "fetch" ? (look as unknown as Intent) : undefined,
      },
    });
}

test("what a Repository's Dataset has read is found, with what it was asked to read", () => {
  const ours = read({ "slipway.dev/repository": "llm" });
  expect(ours("web")).toEqual([{ source: WEB, files: FILES }]);
  expect(ours("other")).toEqual([]);
});

test("what another Repository's has, one made again, or one that nobody in git applies, is not", () => {
  expect(read({ "slipway.dev/repository": "theirs" })("web")).toEqual([]);
  expect(read({ "slipway.dev/repository": "theirs" }, { apply: false })("web")).toEqual([]);
  expect(read({ "slipway.dev/repository": "llm" }, { uid: "u2" })("web")).toEqual([]);
  expect(read(undefined)("web")).toEqual([]);
});

test("where something else applies what is in git, objects name no Repository", () => {
  expect(read(undefined, { apply: false })("web")).toEqual([{ source: WEB, files: FILES }]);
});
