/**
 * Disks for storage tests: one that refuses on demand (`shim.c`, where there is a C compiler), and a small real one (where
 * this user may mount). What a machine cannot do is told as a reason, with which its tests are skipped.
 */
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const source = fileURLToPath(new URL("shim.c", import.meta.url))

interface Shim {
  /** Environment of the program that is to run on it. */
  readonly env: (folder: string, options?: { readonly trace: boolean }) => Readonly<Record<string, string>>
  /** Syncs of database files so far. */
  readonly syncs: (folder: string) => number
  readonly refuse: (folder: string, error: keyof typeof Os.constants.errno) => void
  readonly allow: (folder: string) => void
  /** Makes what a power loss would have left of a folder's database; `keep` decides on each write that was not synced. */
  readonly afterPowerLoss: (folder: string, target: string, keep: (index: number) => boolean) => void
}

interface Operation {
  readonly kind: "write" | "truncate" | "sync"
  readonly file: "turnstream.db" | "turnstream.db-wal"
  readonly offset: number
  readonly bytes: Buffer
}

/** The records of the shim's trace. One that a kill cut off was not carried out before it. */
const operationsOf = (trace: Buffer): ReadonlyArray<Operation> => {
  const kinds = { W: "write", T: "truncate", S: "sync" } as const
  const operations: Array<Operation> = []
  for (let at = 0; at + 14 <= trace.length;) {
    const length = trace.readUInt32LE(at + 10)
    if (at + 14 + length > trace.length) break
    operations.push({
      kind: kinds[trace.toString("latin1", at, at + 1) as keyof typeof kinds],
      file: trace[at + 1] === 0x4c ? "turnstream.db-wal" : "turnstream.db",
      offset: Number(trace.readBigInt64LE(at + 2)),
      bytes: trace.subarray(at + 14, at + 14 + length)
    })
    at += 14 + length
  }
  return operations
}

/** What a file holds after some operations. */
const contentAfter = (operations: ReadonlyArray<Operation>): Buffer => {
  const content = Buffer.alloc(Math.max(0, ...operations.map(({ bytes, offset }) => offset + bytes.length)))
  let length = 0
  for (const { bytes, kind, offset } of operations) {
    if (kind === "truncate") {
      content.fill(0, Math.min(offset, length))
      length = offset
    } else {
      bytes.copy(content, offset)
      length = Math.max(length, offset + bytes.length)
    }
  }
  return content.subarray(0, length)
}

const afterPowerLoss = (operations: ReadonlyArray<Operation>, keep: (index: number) => boolean) =>
  (["turnstream.db", "turnstream.db-wal"] as const).map((file) => {
    const own = operations.filter((operation) => operation.file === file)
    const synced = own.findLastIndex(({ kind }) => kind === "sync")
    return { file, content: contentAfter(own.filter(({ kind }, i) => kind !== "sync" && (i < synced || keep(i)))) }
  })

const compile = (): Shim | string => {
  if (process.platform !== "linux") return "LD_PRELOAD is Linux's"
  const folder = Fs.mkdtempSync(join(Os.tmpdir(), "turnstream-shim-"))
  process.on("exit", () => Fs.rmSync(folder, { recursive: true, force: true }))
  const library = join(folder, "shim.so")
  const { error, status, stderr } = spawnSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], {
    encoding: "utf8",
    // the guard of the suite is Node's
    env: { PATH: process.env["PATH"] ?? "" }
  })
  if (error !== undefined) return "no C compiler (cc)"
  if (status !== 0) return `cc failed: ${stderr.slice(0, 200)}`
  const fault = (at: string) => join(at, "shim-fault")
  const syncs = (at: string) => join(at, "shim-syncs")
  const trace = (at: string) => join(at, "shim-trace")
  return {
    env: (at, options = { trace: false }) => ({
      LD_PRELOAD: library,
      SHIM_FAULT: fault(at),
      SHIM_SYNCS: syncs(at),
      ...(options.trace ? { SHIM_TRACE: trace(at) } : {})
    }),
    afterPowerLoss: (at, target, keep) => {
      for (const { content, file } of afterPowerLoss(operationsOf(Fs.readFileSync(trace(at))), keep)) {
        Fs.writeFileSync(join(target, file), content)
      }
    },
    syncs: (at) => Fs.statSync(syncs(at), { throwIfNoEntry: false })?.size ?? 0,
    refuse: (at, error) => Fs.writeFileSync(fault(at), String(Os.constants.errno[error])),
    allow: (at) => Fs.rmSync(fault(at))
  }
}

/** The disk that refuses on demand, or why there is none. */
export const shim: Shim | string = compile()

/** Why this user cannot mount a disk, or undefined. */
export const cannotMount: string | undefined = (() => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "only root may mount a disk"
  const folder = Fs.mkdtempSync(join(Os.tmpdir(), "turnstream-mount-"))
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder])
  if (status === 0) spawnSync("umount", [folder])
  Fs.rmdirSync(folder)
  return status === 0 ? undefined : "mounting a disk is not allowed here"
})()

/** A disk of its own of that many KiB, unmounted at the end of the scope. */
export const mounted = (kib: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = Fs.mkdtempSync(join(Os.tmpdir(), "turnstream-disk-"))
      spawnSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", folder])
      return folder
    }),
    (folder) =>
      Effect.sync(() => {
        spawnSync("umount", ["-l", folder])
        Fs.rmSync(folder, { recursive: true, force: true })
      })
  )

export const remount = (folder: string, mode: "ro" | "rw"): boolean =>
  spawnSync("mount", ["-o", `remount,${mode}`, folder]).status === 0

/** Takes all room that is left; remove it to give it back. */
export const fill = (folder: string): string => {
  const path = join(folder, "ballast")
  const file = Fs.openSync(path, "w")
  try {
    for (const size of [65_536, 4_096]) {
      try {
        for (;;) Fs.writeSync(file, Buffer.alloc(size))
      } catch {
        // full for this size
      }
    }
  } finally {
    Fs.closeSync(file)
  }
  return path
}
