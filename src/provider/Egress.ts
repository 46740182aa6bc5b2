/**
 * Where a live provider may be called: https to the hosts that the configuration names, never a private, link-local or
 * metadata address, this machine only by `network.allowLoopback`. Checked three times: by the registry (a provider that
 * may not be called is blocked and says why), on each URL, and on the addresses that a name resolves to, since a public
 * name may point anywhere. Pure.
 */
import { BlockList, isIP, isIPv6 } from "node:net"
import { loopbackOff } from "../domain/TurnError.ts"

const subnets = (...ranges: ReadonlyArray<readonly [address: string, prefix: number]>): BlockList => {
  const list = new BlockList()
  for (const [address, prefix] of ranges) list.addSubnet(address, prefix, isIPv6(address) ? "ipv6" : "ipv4")
  return list
}

const loopback = subnets(["127.0.0.0", 8], ["::1", 128])

/** The only IPv6 that is on the public network: global unicast, and IPv4 written as IPv6. */
const global6 = subnets(["2000::", 3], ["::ffff:0:0", 96])

/** What else is not (IANA's special-purpose registries); metadata services are at 169.254.169.254. */
const reserved = subnets(
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20]
)

export type Place = "public" | "loopback" | "reserved"

/** Where an address of IPv4 or IPv6 lies; IPv4 as IPv6 counts as what it is, and what is no address as reserved. */
export const placeOf = (address: string): Place => {
  const version = isIPv6(address) ? "ipv6" : "ipv4"
  if (isIP(address) === 0) return "reserved"
  if (loopback.check(address, version)) return "loopback"
  const isPublic = !reserved.check(address, version) && (version === "ipv4" || global6.check(address, version))
  return isPublic ? "public" : "reserved"
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1")

/** Names that no name server answers (RFC 6761), with and without the dot of the root. */
const isLocalName = (host: string): boolean => /^(.+\.)?localhost\.?$/.test(host)

/** Why nothing under this URL may be called, whatever it resolves to; undefined where it may. */
export const refusal = (url: URL, allowLoopback: boolean): string | undefined => {
  const host = hostOf(url)
  const place = isLocalName(host) ? "loopback" : isIP(host) === 0 ? "public" : placeOf(host)
  if (place === "reserved") return "its baseUrl is a private or reserved address, which is never called"
  if (place === "loopback") return allowLoopback ? undefined : loopbackOff
  return url.protocol === "https:" ? undefined : "its baseUrl is not https"
}

/** Whether a connection for `host` may go to this address: a public name to a public one, a local name to this machine. */
export const mayConnect = (host: string, address: string, allowLoopback: boolean): boolean => {
  const place = placeOf(address)
  const isLocal = isLocalName(host) || (isIP(host) !== 0 && placeOf(host) === "loopback")
  return isLocal ? allowLoopback && place === "loopback" : place === "public"
}
