import { describe, expect, it } from "vitest";
import { conflictingManagers, controllerRef, isOwnedBy, ownedFieldsHash } from "./apply.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject, ManagedFieldsEntry } from "./resources.ts";

function object(managedFields: ManagedFieldsEntry[]): KubeObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", uid: "u", managedFields } };
}

const mine: ManagedFieldsEntry = {
  manager: "slipway",
  operation: "Apply",
  time: "2026-01-01T00:00:00Z",
  fieldsV1: { "f:data": { "f:x": {}, "f:y": {} }, "f:metadata": { "f:labels": {} } },
};

describe("ownedFieldsHash", () => {
  const hash = ownedFieldsHash(object([mine]), "slipway");

  it.each<[string, ManagedFieldsEntry[]]>([
    ["the time", [{ ...mine, time: "2027-01-01T00:00:00Z" }]],
    [
      "the order of fields",
      [{ ...mine, fieldsV1: { "f:metadata": { "f:labels": {} }, "f:data": { "f:y": {}, "f:x": {} } } }],
    ],
    ["other managers", [{ ...mine, manager: "kubectl", fieldsV1: {} }, mine]],
    ["our own updates", [{ ...mine, operation: "Update", fieldsV1: {} }, mine]],
    ["our own status", [{ ...mine, subresource: "status", fieldsV1: {} }, mine]],
  ])("does not depend on %s", (_, managedFields) => {
    expect(ownedFieldsHash(object(managedFields), "slipway")).toBe(hash);
  });

  it("changes when a field is no longer ours", () => {
    const less = { ...mine, fieldsV1: { "f:data": { "f:x": {} }, "f:metadata": { "f:labels": {} } } };
    expect(ownedFieldsHash(object([less]), "slipway")).not.toBe(hash);
  });

  it("is undefined when nothing was applied", () => {
    expect(ownedFieldsHash(object([]), "slipway")).toBeUndefined();
    expect(ownedFieldsHash(object([{ ...mine, subresource: "status" }]), "slipway")).toBeUndefined();
  });
});

describe("conflictingManagers", () => {
  const cause = (manager: string) => ({
    reason: "FieldManagerConflict",
    message: `conflict with "${manager}" using v1`,
  });

  it("names each manager once", () => {
    const error = new KubeError(409, "Conflict", "no", { causes: [cause("a"), cause("b"), cause("a")] });
    expect(conflictingManagers(error)).toEqual(["a", "b"]);
  });

  it.each([
    new KubeError(409, "Conflict", "a lost optimistic lock"),
    new KubeError(409, "AlreadyExists", "no", { causes: [cause("a")] }),
    new Error("other"),
  ])("is empty for %s", (error) => {
    expect(conflictingManagers(error)).toEqual([]);
  });
});

describe("ownership", () => {
  const owner = object([]);

  it("is by uid and by the controller alone", () => {
    const child = (ownerReferences: KubeObject["metadata"]["ownerReferences"]): KubeObject => ({
      ...owner,
      metadata: { name: "child", ownerReferences: ownerReferences ?? [] },
    });
    const ref = controllerRef(owner);
    expect(isOwnedBy(child([ref]), "u")).toBe(true);
    expect(isOwnedBy(child([{ ...ref, uid: "former" }]), "u")).toBe(false);
    expect(isOwnedBy(child([{ ...ref, controller: false }]), "u")).toBe(false);
    expect(isOwnedBy(child([]), "u")).toBe(false);
  });

  it("needs a uid", () => {
    expect(() => controllerRef({ ...owner, metadata: { name: "a" } })).toThrow("no uid");
  });
});
