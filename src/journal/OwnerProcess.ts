/**
 * Whether a process lives, told by the process table. A process id alone does not say so: ids are used again, and a
 * killed process that nobody waited for still answers a signal. Where `/proc` exists its start time and state decide;
 * elsewhere the id alone does, and a reused id delays a start until the heartbeat is stale.
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Os from "node:os"

export interface Identity {
  readonly pid: number
  /** Start time in the kernel's own unit; null where there is no `/proc`. */
  readonly pidStart: string | null
  readonly host: string
}

interface Stat {
  readonly state: string
  readonly start: string
}

/** Fields 3 and 22 of a `/proc/<pid>/stat` line. The name before them may hold spaces and parentheses. */
export const parseStat = (line: string): Stat | undefined => {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ")
  const state = fields[0]
  const start = fields[19]
  return state === undefined || start === undefined ? undefined : { state, start }
}

const statOf = (pid: number): Stat | undefined => {
  try {
    return parseStat(Fs.readFileSync(`/proc/${pid}/stat`, "latin1"))
  } catch {
    // No /proc, or one that hides the processes of others.
    return undefined
  }
}

const answers = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives and is another user's.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** `Z` waits to be reaped, `X` and `x` are dead; `T`, a stopped one, may wake up and lives. */
const ended = new Set(["Z", "X", "x"])

export const lives = (pid: number, pidStart: string | null): boolean => {
  // 0 and below name process groups.
  if (pid < 1 || !answers(pid)) return false
  const stat = statOf(pid)
  if (stat === undefined) return true
  return !ended.has(stat.state) && (pidStart === null || pidStart === stat.start)
}

export const self: Effect.Effect<Identity> = Effect.sync(() => ({
  pid: process.pid,
  pidStart: statOf(process.pid)?.start ?? null,
  host: Os.hostname()
}))
