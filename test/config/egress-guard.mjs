/**
 * Any connection, datagram or name lookup that would leave this machine throws, so that no test can call a provider by
 * accident. Loopback addresses, `localhost` and local sockets pass. Plain JavaScript: it also runs, by `node --import`, in
 * every process that a test starts; there it leaves a line in the file that TURNSTREAM_TEST_EGRESS names, because a program
 * may survive the error, and the test fails for that line.
 */
import * as dgram from "node:dgram"
import * as dns from "node:dns"
import * as fs from "node:fs"
import * as module from "node:module"
import * as net from "node:net"

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i
const marks = process.env["TURNSTREAM_TEST_EGRESS"]

/** Whether a connect of `node:net` stays on this machine. Its first argument is options, a port, a path or their array. */
export const staysLocal = (args) => {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args
  if (typeof first === "object" && first !== null) {
    const { host, path } = first
    return typeof path === "string" || host === undefined || host === null || loopback.test(String(host))
  }
  if (typeof first === "string" && !/^\d+$/.test(first)) return true
  return typeof second !== "string" || loopback.test(second)
}

const refuse = (target) => {
  if (marks !== undefined) fs.appendFileSync(marks, `${process.pid}: ${target}\n`)
  throw new Error(`A test tried to leave this machine: ${target}. Use a loopback server.`)
}

const guarded = Symbol.for("turnstream/test/egress-guard")

/** Replaces a function of `owner`; `targetOf` answers what its arguments would reach, or undefined where that is local. */
const guard = (owner, name, targetOf) => {
  const original = owner[name]
  if (typeof original !== "function" || guarded in original) return
  const replacement = function(...args) {
    const target = targetOf(args)
    if (target !== undefined) refuse(target)
    return Reflect.apply(original, this, args)
  }
  owner[name] = Object.assign(replacement, { [guarded]: true })
}

const isForeignName = (name) => typeof name === "string" && name !== "" && net.isIP(name) === 0 && !loopback.test(name)
const nameOf = ([name]) => (isForeignName(name) ? `lookup of ${name}` : undefined)

guard(net.Socket.prototype, "connect", (args) =>
  staysLocal(args)
    ? undefined
    : JSON.stringify(
      args[0],
      (key, value) => (key === "" || key === "0" || key === "host" || key === "port" ? value : undefined)
    ))
guard(
  dgram.Socket.prototype,
  "connect",
  ([port, address]) => typeof address !== "string" || loopback.test(address) ? undefined : `${address}:${port}`
)
guard(dgram.Socket.prototype, "send", (args) => {
  const address = args.findLast((arg) => typeof arg === "string" && arg !== args[0])
  return address === undefined || loopback.test(address) ? undefined : address
})
for (const owner of [dns.default, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
  guard(owner, "lookup", nameOf)
  for (const name of Object.getOwnPropertyNames(owner)) if (name.startsWith("resolve")) guard(owner, name, nameOf)
}
module.syncBuiltinESMExports()
