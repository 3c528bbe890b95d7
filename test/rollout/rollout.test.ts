import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodePossible } from "../node-possible.ts";
import { expectClean, rollOutUnderLoad } from "./revisions.ts";
import { ServingWorld } from "./serving-world.ts";

const COUNT = Number(process.env.SLIPWAY_ROLLOUTS ?? 20);
let world: ServingWorld;

describe.skipIf(!nodePossible)("rollouts under load", () => {
  beforeAll(async () => {
    world = await ServingWorld.open();
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  test(`${COUNT} good and ${COUNT} bad revisions: no request fails, and no bad one serves a client`, async () => {
    const rollouts = await rollOutUnderLoad(world, COUNT);
    console.log(
      JSON.stringify({
        bench: "rollout",
        good: rollouts.good,
        bad: rollouts.bad,
        requests: rollouts.load.requests,
        failed: rollouts.load.failed.length,
        servedByBad: rollouts.load.bad.length,
      }),
    );
    expectClean(rollouts);
    expect([rollouts.good, rollouts.bad]).toEqual([COUNT, COUNT]);
  });
});
