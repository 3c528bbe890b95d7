import { SlipwayError } from "../errors.ts";

/*
 * Where a Secret may be sent. Everything is compared after the WHATWG URL parser, the one that the HTTP
 * client uses, has read it: two parsers that disagree are how such checks are got around.
 */

/**
 * Reads the annotation `slipway.dev/allowed-hosts`: `host[:port]` separated by commas, where the host
 * may begin with `*.` for exactly one more label.
 * @throws SlipwayError InvalidAllowedHosts naming the entry that is none
 */
export function parseAllowedHosts(annotation: string): string[] {
  return annotation
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "")
    .map(parseEntry);
}

function parseEntry(entry: string): string {
  const wildcard = entry.startsWith("*.");
  const rest = wildcard ? entry.slice(2) : entry;
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@\\*[\]%]+)(?::(\d{1,5}))?$/.exec(rest);
  const host = match && URL.parse(`https://${match[1]}/`)?.hostname.replace(/\.$/, "");
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  const tooWide = wildcard && (!host?.includes(".") || isAddress(host));
  if (!host || tooWide || (port !== undefined && (port < 1 || port > 65535))) {
    throw new SlipwayError("InvalidAllowedHosts", `${JSON.stringify(entry)} is not a host`, {
      hint: "write host, host:port or *.domain.tld, without scheme and path, separated by commas",
    });
  }
  return `${wildcard ? "*." : ""}${host}${port === undefined ? "" : `:${port}`}`;
}

/**
 * Whether a request to `url` may carry the Secret. An entry without a port is https on 443 and nothing
 * else: plain http needs its port written out. A URL with user information is never allowed.
 * @param allowedHosts as {@link parseAllowedHosts} returns them; none allows nothing
 */
export function hostAllowed(url: string | URL, allowedHosts: readonly string[]): boolean {
  const parsed = URL.parse(String(url));
  if (!parsed || (parsed.protocol !== "https:" && parsed.protocol !== "http:")) return false;
  if (parsed.username || parsed.password) return false;
  const host = parsed.hostname.replace(/\.$/, "");
  if (host === "") return false;
  const port = parsed.port || (parsed.protocol === "https:" ? "443" : "80");
  // Port 443 says https; a key must not go over it in the clear because a URL says http.
  if (port === "443" && parsed.protocol === "http:") return false;
  const names = [host];
  const dot = host.indexOf(".");
  if (dot > 0 && !isAddress(host)) names.push(`*${host.slice(dot)}`);
  return names.some(
    (name) => allowedHosts.includes(`${name}:${port}`) || (port === "443" && allowedHosts.includes(name)),
  );
}

function isAddress(host: string): boolean {
  return host.startsWith("[") || /^[\d.]+$/.test(host);
}
