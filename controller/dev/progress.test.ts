import { expect, test } from "vitest";
import { createProgress } from "./progress.ts";

function collect(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  return { written, stream: { isTTY, columns, write: (text: string) => written.push(text) } };
}

test("a terminal shows one line that is overwritten and removed at the end", () => {
  const { written, stream } = collect(true, 20);
  const progress = createProgress(stream);
  progress.report("starting etcd");
  progress.report("a message that is longer than the terminal is wide");
  progress.done();
  expect(written.join("")).not.toContain("\n");
  expect(written[1]).toBe("\r\u001b[2Ka message that is l");
  expect(written[2]).toBe("\r\u001b[2K");
});

test("elsewhere a repeating step is printed at most every ten seconds", () => {
  const { written, stream } = collect(false);
  let now = 0;
  const progress = createProgress(stream, () => now);
  for (let second = 0; second <= 20; second++) {
    now = second * 1000;
    progress.report(`compiling: ${second} s`);
  }
  progress.report("starting etcd");
  expect(written).toEqual(["compiling: 0 s\n", "compiling: 10 s\n", "compiling: 20 s\n", "starting etcd\n"]);
});
