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
  readonly env: (folder: string) => Readonly<Record<string, string>>
  /** Syncs of database files so far. */
  readonly syncs: (folder: string) => number
  readonly refuse: (folder: string, error: keyof typeof Os.constants.errno) => void
  readonly allow: (folder: string) => void
}

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
  return {
    env: (at) => ({ LD_PRELOAD: library, SHIM_FAULT: fault(at), SHIM_SYNCS: syncs(at) }),
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
