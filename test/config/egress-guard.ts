/**
 * Runs before every test file: any connection that would leave this machine throws, so that no test can call a provider
 * by accident. Loopback addresses, `localhost` and local sockets pass.
 */
import * as net from "node:net"

const loopback = /^(localhost|127(\.\d{1,3}){3}|::1|::ffff:127(\.\d{1,3}){3})$/i

/** Whether a connect of `node:net` stays on this machine. Its first argument is options, a port, a path or their array. */
export const staysLocal = (args: ReadonlyArray<unknown>): boolean => {
  const [first, second] = Array.isArray(args[0]) ? args[0] : args
  if (typeof first === "object" && first !== null) {
    const { host, path } = first as { readonly host?: unknown; readonly path?: unknown }
    return typeof path === "string" || host === undefined || host === null || loopback.test(String(host))
  }
  if (typeof first === "string" && !/^\d+$/.test(first)) return true
  return typeof second !== "string" || loopback.test(second)
}

const connect = net.Socket.prototype.connect
const guarded = Symbol.for("turnstream/test/egress-guard")

if (!(guarded in connect)) {
  const replacement = function(this: net.Socket, ...args: Array<never>) {
    if (!staysLocal(args)) {
      const target = JSON.stringify(
        args[0],
        (key, value) => (key === "" || key === "host" || key === "port" ? value : undefined)
      )
      throw new Error(`A test tried to leave this machine: ${target}. Use a loopback server.`)
    }
    return Reflect.apply(connect, this, args)
  }
  net.Socket.prototype.connect = Object.assign(replacement, { [guarded]: true }) as typeof connect
}
