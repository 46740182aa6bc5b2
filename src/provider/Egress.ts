/**
 * Where a live provider may be called: https to the hosts that the configuration names, never a private, link-local or
 * metadata address, this machine only by `network.allowLoopback`. Checked three times: in the settings (a provider that
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

/** What is not on the public network (IANA's special-purpose registries); metadata services are at 169.254.169.254. */
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
  ["::", 96],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8]
)

export type Place = "public" | "loopback" | "reserved"

/** Where an address of IPv4 or IPv6 lies; IPv4 inside IPv6 counts as what it is. */
export const placeOf = (address: string): Place => {
  const version = isIPv6(address) ? "ipv6" : "ipv4"
  return loopback.check(address, version) ? "loopback" : reserved.check(address, version) ? "reserved" : "public"
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1")

const isLocalName = (host: string): boolean => host === "localhost"

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
