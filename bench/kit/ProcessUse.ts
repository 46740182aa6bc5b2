/**
 * What a process uses, from the kernel's accounting: nanoseconds of processor time by thread (`/proc/<pid>/task/*\/schedstat`),
 * summed. It is what the process itself needed, however busy the machine is. Linux only, and there only where the kernel
 * keeps it.
 */
import * as Fs from "node:fs"

export interface ProcessUse {
  /** Of processor time, all threads. */
  readonly cpuMs: number
  /** Its main thread was ready to run and waited for a core: a busy machine, or saturation. */
  readonly waitedMs: number
}

/** Undefined where there is no such accounting. Threads that ended are missing: Node's stay. */
export const read = (pid: number): ProcessUse | undefined => {
  try {
    let cpuNs = 0
    let waitedNs = 0
    for (const thread of Fs.readdirSync(`/proc/${pid}/task`)) {
      const [ran, waited] = Fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")
      cpuNs += Number(ran)
      if (thread === String(pid)) waitedNs = Number(waited)
    }
    return { cpuMs: cpuNs / 1e6, waitedMs: waitedNs / 1e6 }
  } catch {
    return undefined
  }
}

/** Why processor time cannot be measured here, or undefined. Some kernels have the files and count nothing. */
export const missing = (): string | undefined =>
  (read(process.pid)?.cpuMs ?? 0) > 0
    ? undefined
    : `processor time is read from /proc/<pid>/task/*/schedstat, which this system (${process.platform}) does not have`

/** Resident memory, MB; undefined where there is no /proc. */
export const residentMb = (pid: number): number | undefined => {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
  } catch {
    return undefined
  }
}

export interface Metered<A> extends ProcessUse {
  readonly result: A
  readonly wallMs: number
}

/** Runs `work` and says what `pid` used meanwhile; NaN where that is not known. */
export const metered = async <A>(pid: number, work: () => Promise<A>): Promise<Metered<A>> => {
  const before = read(pid)
  const begun = performance.now()
  const result = await work()
  const wallMs = performance.now() - begun
  const after = read(pid)
  const grown = (field: keyof ProcessUse) => (after?.[field] ?? Number.NaN) - (before?.[field] ?? Number.NaN)
  return { result, wallMs, cpuMs: grown("cpuMs"), waitedMs: grown("waitedMs") }
}

/** Microseconds of processor time that this process, all threads, spends on `work`. */
export const ownCpuMicros = async (work: () => Promise<unknown> | void): Promise<number> => {
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return user + system
}
