import { describe, expect, it } from "vitest";
import { findLink } from "./weights.ts";

const page = "https://index.example/simple/p/";
const file = "p-1.0-py3-none-any.whl";

describe("findLink", () => {
  it("resolves a relative link and leaves the digest out", () => {
    const html = `<a href="../../files/p-0.9-py3-none-any.whl">old</a> <a data-x="1" href='../../files/${file}#sha256=ab'>x</a>`;
    expect(findLink(html, page, file)).toBe(`https://index.example/files/${file}`);
  });

  it("takes an absolute link as it is", () => {
    const html = `<A HREF="https://files.example/a/${file}?a=1&amp;b=2">${file}</A>`;
    expect(findLink(html, page, file)).toBe(`https://files.example/a/${file}?a=1&b=2`);
  });

  it("says when the file is not there", () => {
    expect(() => findLink("<a href='other.whl'>", page, file)).toThrow(file);
  });
});
