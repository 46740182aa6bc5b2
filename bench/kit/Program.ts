/**
 * A server as a child process: started with an environment of its own, ready once it has printed `... ready on <address>`,
 * its errors and logs in a file of the folder that it works in. What is not ended before is ended by `endAll`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as ProcessUse from "./ProcessUse.ts"

/** The folder of the project: programs here are run as `.ci/run-ts.mjs bench/<name>.ts`, from anywhere. */
const root = Path.resolve(Path.dirname(process.argv[1] ?? ""), "..")

export const service = Path.join(root, "dist/main.js")
export const server = (name: "floor" | "upstream"): string => Path.join(root, `bench/servers/${name}.mjs`)

export interface Program {
  readonly pid: number
  readonly url: string
  /** Until it was ready, of wall and of processor time; the second is undefined where the kernel does not tell. */
  readonly bootMs: number
  readonly bootCpuMs: number | undefined
  readonly stop: () => Promise<void>
  readonly kill: () => Promise<void>
}

export interface Start {
  readonly file: string
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly folder: string
}

const readyLine = /ready on (http:\S+)/

export const start = async ({ args = [], env = {}, file, folder }: Start): Promise<Program> => {
  const log = Path.join(folder, "server.log")
  const errors = Fs.openSync(log, "a")
  const begun = performance.now()
  const child = spawn(process.execPath, [file, ...args], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "pipe", errors]
  })
  Fs.closeSync(errors)
  running.add(child)
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => {
      running.delete(child)
      resolve()
    })
  })
  const url = await new Promise<string>((resolve, reject) => {
    let said = ""
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      // what comes later is read, so that it does not block, and dropped
      if (said.length < 10_000) said += text
      const found = readyLine.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once("error", reject)
    child.once("close", (code) => {
      reject(
        new Error(`${file} ended with ${code} before it was ready:\n${Fs.readFileSync(log, "utf8").slice(-2_000)}`)
      )
    })
  })
  const bootMs = performance.now() - begun
  const pid = child.pid ?? 0
  const end = (signal: NodeJS.Signals) => () => {
    child.kill(signal)
    return ended
  }
  const bootCpuMs = ProcessUse.read(pid)?.cpuMs
  return { pid, url, bootMs, bootCpuMs, stop: end("SIGTERM"), kill: end("SIGKILL") }
}

const running = new Set<ChildProcess>()
const folders = new Set<string>()

/** An empty folder, removed when this process ends. */
export const freshFolder = (): string => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "turnstream-bench-"))
  folders.add(folder)
  return folder
}

const removeFolders = (): void => {
  for (const folder of folders) Fs.rmSync(folder, { recursive: true, force: true })
  folders.clear()
}

/** Ends every program and removes every folder. */
export const endAll = async (): Promise<void> => {
  await Promise.all([...running].map((child) =>
    new Promise<void>((resolve) => {
      child.once("close", () => resolve())
      child.kill("SIGKILL")
    })
  ))
  removeFolders()
}

// nothing outlives a bench that was interrupted
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
  removeFolders()
})
