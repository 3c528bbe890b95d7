import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { SlipwayError } from "../errors.ts";

/*
 * Link-local addresses answer for the machine itself: cloud metadata services hand out its credentials there. No
 * address that a tenant writes (a source, an endpoint, a webhook) may lead to them.
 */
const LINK_LOCAL = new BlockList();
LINK_LOCAL.addSubnet("169.254.0.0", 16, "ipv4");
LINK_LOCAL.addSubnet("fe80::", 10, "ipv6");
LINK_LOCAL.addAddress("fd00:ec2::254", "ipv6");
// The same services where they are not link-local: Alibaba Cloud's, Azure's.
LINK_LOCAL.addAddress("100.100.100.200", "ipv4");
LINK_LOCAL.addAddress("168.63.129.16", "ipv4");

const refused = (host: string) =>
  new SlipwayError("HostNotAllowed", `${host} is an address of the machine itself`, {
    hint: "name a host outside of this machine",
  });

function isLinkLocal(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && LINK_LOCAL.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** @throws SlipwayError HostNotAllowed for a URL whose host is a link-local address */
export function assertDestination(url: string | URL): void {
  const host = (URL.parse(String(url))?.hostname ?? "").replace(/^\[|\]$/g, "");
  if (isLinkLocal(host)) throw refused(host);
}

/** Name resolution that refuses names of link-local addresses: what is checked is what is connected to. */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, "", 0);
    const bad = addresses.find(({ address }) => isLinkLocal(address));
    if (bad) return callback(refused(hostname) as unknown as NodeJS.ErrnoException, "", 0);
    if (options.all) return callback(null, addresses as never, 0);
    const [first] = addresses;
    callback(null, first?.address ?? "", first?.family ?? 0);
  });
};
