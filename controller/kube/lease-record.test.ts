import { describe, expect, it } from "vitest";
import { type LeaseObject, microTime, observe, released, taken } from "./lease-record.ts";

const now = new Date("2026-01-02T03:04:05.678Z");
const term = { namespace: "ns", name: "l", identity: "one", durationMs: 8_000, now };

function lease(spec: LeaseObject["spec"]): LeaseObject {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "l", namespace: "ns", resourceVersion: "7" },
    spec,
  };
}

describe("observe", () => {
  const held = lease({
    holderIdentity: "other",
    leaseDurationSeconds: 8,
    renewTime: "2000-01-01T00:00:00.000000Z",
  });

  it("counts from when this process saw the last change, whatever the lease's own clock says", () => {
    const first = observe(undefined, held, 1_000);
    const same = observe(first, { ...held, metadata: { ...held.metadata, resourceVersion: "8" } }, 5_000);
    expect(same.expired(8_999)).toBe(false);
    expect(same.expired(9_000)).toBe(true);
  });

  it("counts anew when the holder has renewed", () => {
    const first = observe(undefined, held, 1_000);
    const renewed = observe(first, lease({ ...held.spec, renewTime: "2000-01-01T00:00:01.000000Z" }), 5_000);
    expect(renewed.expired(12_999)).toBe(false);
    expect(renewed.expired(13_000)).toBe(true);
  });

  it("takes a lease that nobody holds as expired", () => {
    expect(observe(undefined, lease({ holderIdentity: "", leaseDurationSeconds: 8 }), 0).expired(0)).toBe(
      true,
    );
    expect(observe(undefined, lease({}), 0).expired(0)).toBe(true);
  });
});

describe("taken", () => {
  it("makes a first lease", () => {
    expect(taken(undefined, term)).toMatchObject({
      metadata: { namespace: "ns", name: "l" },
      spec: {
        holderIdentity: "one",
        leaseDurationSeconds: 8,
        acquireTime: "2026-01-02T03:04:05.678000Z",
        renewTime: "2026-01-02T03:04:05.678000Z",
        leaseTransitions: 0,
      },
    });
  });

  it("renews its own: acquireTime and transitions stay, and the version is the lock", () => {
    const mine = lease({
      holderIdentity: "one",
      acquireTime: "2020-01-01T00:00:00.000000Z",
      leaseTransitions: 3,
    });
    const next = taken(mine, term);
    expect(next.metadata.resourceVersion).toBe("7");
    expect(next.spec).toMatchObject({ acquireTime: "2020-01-01T00:00:00.000000Z", leaseTransitions: 3 });
  });

  it("counts a change of holder", () => {
    const other = lease({
      holderIdentity: "other",
      acquireTime: "2020-01-01T00:00:00.000000Z",
      leaseTransitions: 3,
    });
    expect(taken(other, term).spec).toMatchObject({ acquireTime: microTime(now), leaseTransitions: 4 });
  });
});

it("released is free at once and remembers the transitions", () => {
  const free = released(lease({ holderIdentity: "one", leaseDurationSeconds: 8, leaseTransitions: 3 }), now);
  expect(free.spec).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 3 });
  expect(observe(undefined, free, 0).expired(0)).toBe(true);
});
