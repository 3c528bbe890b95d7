import { promisify } from "node:util";
import { expect, test } from "vitest";
import { assertDestination, guardedLookup } from "./destination.ts";

test.each([
  "http://169.254.169.254/latest/meta-data",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://[fe80::1]/",
  "http://[::ffff:169.254.169.254]/",
  "http://[fd00:ec2::254]/",
  "http://100.100.100.200/",
  "https://168.63.129.16/",
])("%s is an address of the machine itself", (url) => {
  expect(() => assertDestination(url)).toThrow(expect.objectContaining({ code: "HostNotAllowed" }));
});

test.each(["https://api.example.com/v1", "http://10.0.0.7:9090", "http://127.0.0.1:1", "http://[::1]/"])(
  "%s is not",
  (url) => {
    expect(() => assertDestination(url)).not.toThrow();
  },
);

test("a name is looked up, in the form that the caller asks for", async () => {
  const look = promisify(guardedLookup) as unknown as (host: string, options: object) => Promise<unknown>;
  expect(await look("localhost", { all: true, family: 4 })).toContainEqual({
    address: "127.0.0.1",
    family: 4,
  });
  expect(await look("localhost", { family: 4 })).toBe("127.0.0.1");
  await expect(look("169.254.169.254", {})).rejects.toMatchObject({ code: "HostNotAllowed" });
});
