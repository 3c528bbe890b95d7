import { expect, test } from "vitest";
import { Lane } from "./lane.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

function lane(each: number, size: number) {
  const it = new Lane(each, size);
  const started: string[] = [];
  const enter = (name: string) =>
    void it.acquire(name.slice(0, 1)).then(() => {
      started.push(name);
    });
  return { enter, started, leave: (tenant: string) => it.release(tenant) };
}

test("one tenant gets its part, and leaves room for others", async () => {
  const { enter, started, leave } = lane(2, 3);
  for (const name of ["a1", "a2", "a3", "a4", "b1", "b2"]) enter(name);
  await settled();
  expect(started).toEqual(["a1", "a2", "b1"]);
  leave("a");
  await settled();
  expect(started).toEqual(["a1", "a2", "b1", "a3"]);
  leave("a");
  leave("a");
  leave("b");
  await settled();
  expect(started).toEqual(["a1", "a2", "b1", "a3", "a4", "b2"]);
});

test("who waits is passed over only while its tenant has its part", async () => {
  const { enter, started, leave } = lane(1, 2);
  for (const name of ["a1", "a2", "b1", "c1"]) enter(name);
  await settled();
  expect(started).toEqual(["a1", "b1"]);
  leave("b");
  await settled();
  expect(started).toEqual(["a1", "b1", "c1"]);
  leave("a");
  await settled();
  expect(started).toEqual(["a1", "b1", "c1", "a2"]);
});
