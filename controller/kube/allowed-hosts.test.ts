import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hostAllowed, parseAllowedHosts } from "./allowed-hosts.ts";

const allowed = (url: string, annotation: string) => hostAllowed(url, parseAllowedHosts(annotation));

describe("hostAllowed", () => {
  it.each([
    ["https://api.example.com/v1", "api.example.com"],
    ["https://API.Example.COM/v1", "api.example.com"],
    ["https://api.example.com/v1", "Api.EXAMPLE.com"],
    ["https://api.example.com:443/v1", "api.example.com"],
    ["https://api.example.com/v1", "api.example.com:443"],
    ["https://api.example.com./v1", "api.example.com"],
    ["https://api.example.com/v1", "api.example.com."],
    ["https://api.example.com:8443/", "api.example.com:8443"],
    ["http://vllm.models.svc:8000/v1", "vllm.models.svc:8000"],
    ["http://vllm.models.svc/v1", "vllm.models.svc:80"],
    ["https://eu.example.com/", "*.example.com"],
    ["https://eu.example.com:8443/", "*.example.com:8443"],
    ["https://[::1]/", "[::1]"],
    ["https://[0:0:0:0:0:0:0:1]:8443/", "[::1]:8443"],
    ["http://127.0.0.1:8080/", "other.test, 127.0.0.1:8080"],
    ["https://bücher.example/", "xn--bcher-kva.example"],
    ["https://xn--bcher-kva.example/", "bücher.example"],
  ])("allows %s by %s", (url, annotation) => {
    expect(allowed(url, annotation)).toBe(true);
  });

  it.each([
    // The host is what comes after the user information, and user information is refused anyway.
    ["https://api.example.com@evil.test/", "api.example.com"],
    ["https://api.example.com:443@evil.test/", "api.example.com"],
    ["https://user@api.example.com/", "api.example.com"],
    ["https://:pw@api.example.com/", "api.example.com"],
    // A backslash ends the authority, as a slash does.
    ["https://evil.test\\@api.example.com/", "api.example.com"],
    ["https://evil.test#@api.example.com/", "api.example.com"],
    ["https://evil.test?@api.example.com/", "api.example.com"],
    ["https://api.example.com.evil.test/", "api.example.com"],
    ["https://evilapi.example.com/", "api.example.com"],
    ["https://evil.test/api.example.com", "api.example.com"],
    // Another port, or plain http where only https was allowed.
    ["https://api.example.com:8443/", "api.example.com"],
    ["https://api.example.com/", "api.example.com:8443"],
    ["http://api.example.com/", "api.example.com"],
    ["http://api.example.com:443/", "api.example.com"],
    ["http://api.example.com:443/", "api.example.com:443"],
    // A wildcard is one label, neither none nor two, and no suffix without its dot.
    ["https://example.com/", "*.example.com"],
    ["https://a.b.example.com/", "*.example.com"],
    ["https://evilexample.com/", "*.example.com"],
    ["https://.example.com/", "*.example.com"],
    // Other schemes, and no URL at all.
    ["ftp://api.example.com/", "api.example.com"],
    ["file://api.example.com/etc/passwd", "api.example.com"],
    ["javascript:alert(1)", "api.example.com"],
    ["api.example.com", "api.example.com"],
    ["", "api.example.com"],
    // Nothing allowed.
    ["https://api.example.com/", ""],
    ["https://api.example.com/", " , "],
    ["https://[::2]/", "[::1]"],
    ["https://127.0.0.1/", "*.0.0.1.example"],
  ])("refuses %s by %s", (url, annotation) => {
    expect(allowed(url, annotation)).toBe(false);
  });

  it("knows an address by all of its spellings", () => {
    expect(allowed("http://2130706433:8080/", "127.0.0.1:8080")).toBe(true);
    expect(allowed("http://0x7f.1:8080/", "127.0.0.1:8080")).toBe(true);
    expect(allowed("http://127.0.0.2:8080/", "127.0.0.1:8080")).toBe(false);
  });

  it("never allows a URL that fetch would send to another host", () => {
    const noise = fc.constantFrom(
      "@",
      ":",
      "/",
      "\\",
      "#",
      "?",
      ".",
      "%2f",
      "%40",
      "evil.test",
      "api.example.com",
      "443",
      "[",
      "]",
      "\t",
    );
    let passed = 0;
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 8 }), (parts) => {
        const url = `https://${parts.join("")}`;
        if (!allowed(url, "api.example.com")) return;
        passed++;
        expect(new Request(url).url).toMatch(/^https:\/\/api\.example\.com\.?(\/|$)/);
      }),
      { numRuns: 3_000 },
    );
    expect(passed).toBeGreaterThan(0);
  });
});

describe("parseAllowedHosts", () => {
  it("trims, lower-cases and drops what is empty", () => {
    expect(parseAllowedHosts(" A.test , ,*.B.test:8443,")).toEqual(["a.test", "*.b.test:8443"]);
  });

  it.each([
    "https://api.example.com",
    "api.example.com/v1",
    "user@api.example.com",
    "*",
    "*.com",
    "*.*.example.com",
    "api.*.example.com",
    "*.127.0.0.1",
    "::1",
    "[::1",
    "api.example.com:0",
    "api.example.com:99999",
    "api.example.com:",
    "a b",
    ".",
  ])("refuses the entry %j and says what to write", (entry) => {
    expect(() => parseAllowedHosts(`ok.test,${entry}`)).toThrow("is not a host");
  });
});
