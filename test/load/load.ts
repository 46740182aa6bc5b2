/**
 * Parts of load tests: bare readers that read nothing or everything, what a process holds, and figures for the reader of
 * the test's output. Promises of the kernel (memory, sockets) are read from /proc, so these tests are Linux's.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { connect, type Socket } from "node:net"
import { ask } from "../process/harness.ts"

/** The peak of a process's resident memory so far, MB. */
export const peakMb = (pid: number | undefined): number =>
  Number(/VmHWM:\s+(\d+)/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** Makes the peak what it holds now. */
export const resetPeak = (pid: number | undefined): void => Fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")

/** Processor time that a process has used, ms: what it needs itself, however busy the machine is. */
export const processorMs = (pid: number | undefined): number => {
  const fields = Fs.readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? []
  // fields 14 and 15 of the whole line, in hundredths of a second
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Open sockets of a process. */
export const socketsOf = (pid: number | undefined): number =>
  Fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return Fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:")
    } catch {
      // closed since it was listed
      return false
    }
  }).length

/** Why a test of this file cannot run here, or undefined. */
export const needsProc = process.platform === "linux" ? undefined : "needs /proc"

/** A title that says why, where what it names is skipped. */
export const titled = (what: string): string => needsProc === undefined ? what : `${what} (${needsProc})`

export const figures = (what: string, values: Readonly<Record<string, number | string>>) =>
  Effect.sync(() =>
    console.log(
      `${what}: ${
        Object.entries(values).map(([name, value]) =>
          `${name} ${typeof value === "number" ? Math.round(value * 10) / 10 : value}`
        ).join(", ")
      }`
    )
  )

/** Asks for a turn's event stream on a socket of its own; the caller decides whether to read. */
export const openRaw = (url: string, path: string): Effect.Effect<Socket> =>
  Effect.async((resume) => {
    const { host, port } = new URL(url)
    const socket = connect(Number(port), "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`)
      resume(Effect.succeed(socket))
    })
    socket.on("error", () => {})
  })

/** A reader that takes nothing; gone at the end of the scope. */
export const stuckReader = (url: string, turnId: string) =>
  Effect.acquireRelease(
    Effect.tap(openRaw(url, `/v1/turns/${turnId}/events`), (socket) => Effect.sync(() => socket.pause())),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Reads a turn's stream to its end as fast as it comes: bytes and milliseconds. */
export const fastReader = (url: string, turnId: string) =>
  Effect.promise(async () => {
    const begun = performance.now()
    const response = await fetch(`${url}/v1/turns/${turnId}/events`, { headers: { accept: "text/event-stream" } })
    const reader = response.body?.getReader()
    let bytes = 0
    let tail = Buffer.alloc(0)
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
      bytes += part.value.length
      tail = Buffer.concat([tail, part.value]).subarray(-2_000)
    }
    return { bytes, ms: performance.now() - begun, last: tail.toString("latin1") }
  })

/** The value of one metric; 0 before its first. */
export const gauge = (url: string, name: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? 0)
  })

/** Starts a turn of `bytes` characters in deltas of `each`, without pauses. */
export const startLong = (url: string, bytes: number, each: number) =>
  Effect.gen(function*() {
    const session = String((yield* ask(`${url}/v1/sessions`, "POST", {})).body["id"])
    const script = { deltas: bytes / each, bytes: each }
    const { body } = yield* ask(`${url}/v1/sessions/${session}/turns`, "POST", { message: "go", options: { script } })
    return { sessionId: session, turnId: String(body["id"]) }
  })
