/**
 * Saves raw answers of providers that are configured with `record: true`, one file each, in `<data folder>/recordings`.
 *
 * A whole key that the vendor echoes is masked, in a header and in the body, also where reads cut it; one that events
 * cut is not known for one. A file takes at most `fileBytesMax` and one read more, the folder keeps the newest `filesMax`
 * within `folderBytesMax`. A recording that cannot be written is logged and given up: it never costs the turn.
 *
 * Its file is opened by the first write: between the headers of an answer and the first read of its body nothing may
 * wait, since a body that breaks off unread gives nothing that had come.
 */
import type * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Keys } from "./Family.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import * as Recording from "./Recording.ts"

/** Sixty answers of the default output cap; no bug report needs more. */
const fileBytesMax = 64 * 1024 * 1024
const filesMax = 200
/** All of them: they lie on the journal's disk. */
const folderBytesMax = 512 * 1024 * 1024

/** One answer that is being saved. Neither effect fails. */
export interface Take {
  readonly write: (chunk: Chunk.Chunk<Uint8Array>) => Effect.Effect<void>
  /** How the body ended; a take that is left without it was left by its reader. */
  readonly end: (end: Recording.End) => Effect.Effect<void>
}

export interface Recorder {
  readonly begin: (answer: {
    readonly facts: Pick<ProviderFacts, "id" | "family">
    readonly model: string
    readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string | undefined>> }
    readonly keys: Keys
  }) => Effect.Effect<Take, never, Scope.Scope>
}

/** A read, and when it came. */
interface Read {
  readonly ms: number
  readonly bytes: Buffer
}

/** What is masked: shorter ones stand in any text by chance. */
const secretsOf = (keys: Keys): ReadonlyArray<string> =>
  Array.from(keys.values(), (key) => Redacted.value(key)).filter(({ length }) => length > 3)

/** Masks each secret in the reads, wherever they cut it. */
const maskIn = (reads: ReadonlyArray<Read>, secrets: ReadonlyArray<Buffer>): void => {
  const joined = Buffer.concat(reads.map(({ bytes }) => bytes))
  const masked = Buffer.from(joined)
  for (const secret of secrets) {
    for (let at = joined.indexOf(secret); at >= 0; at = joined.indexOf(secret, at + 1)) {
      masked.fill("*", at, at + secret.length)
    }
  }
  if (masked.equals(joined)) return
  let from = 0
  for (const { bytes } of reads) from += masked.copy(bytes, 0, from, from + bytes.length)
}

const maskedHeaders = (
  headers: Readonly<Record<string, string>>,
  secrets: ReadonlyArray<string>
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      secrets.reduce((shown, secret) => shown.replaceAll(secret, "*".repeat(secret.length)), value)
    ])
  )

const fileName = (at: string, provider: string, chance: number) =>
  `${at.replace(/[:.]/g, "-")}-${provider}-${chance.toString(36).padStart(6, "0")}.jsonl`

interface TakeOptions {
  /** Makes the file. */
  readonly create: () => Promise<FileHandle>
  /** Its first line. */
  readonly head: string
  readonly bytesMax: number
  readonly keys: Keys
  readonly providerId: string
}

const makeTake = ({ bytesMax, create, head, keys, providerId }: TakeOptions) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    // the clock that nobody sets
    const nowMs = () => Number(clock.unsafeCurrentTimeNanos() / 1_000_000n)
    const startMs = nowMs()
    const secrets = secretsOf(keys).map((secret) => Buffer.from(secret))
    const longest = Math.max(0, ...secrets.map(({ length }) => length))
    let file: FileHandle | undefined
    let size = Buffer.byteLength(head)
    let ended: Recording.End | undefined
    let broken = false
    /** The last reads: together they may hold the beginning of a secret. */
    let held: ReadonlyArray<Read> = []

    /** Not interrupted: a line that was begun is written to its end before the last one is. */
    const put = (text: string) =>
      broken ? Effect.void : Effect.tryPromise(async () => {
        const first = file === undefined ? head : ""
        file ??= await create()
        await file.appendFile(first + text)
      }).pipe(
        Effect.catchAll((error) => {
          broken = true
          return Effect.logWarning(
            `An answer of provider "${providerId}" is not recorded, or not to its end`,
            error.error
          )
        }),
        Effect.uninterruptible
      )

    /** The lines of the first held reads, until no more than `bytes` are held behind them. */
    const release = (bytes: number): string => {
      let text = ""
      let behind = held.reduce((sum, read) => sum + read.bytes.length, 0)
      let count = 0
      for (const read of held) {
        behind -= read.bytes.length
        if (behind < bytes) break
        text += Recording.pieceLine(read.ms, read.bytes)
        count++
      }
      held = held.slice(count)
      size += Buffer.byteLength(text)
      return text
    }

    const write: Take["write"] = (chunk) =>
      Effect.suspend(() => {
        if (ended !== undefined) return Effect.void
        const ms = nowMs() - startMs
        held = [...held, ...Array.from(chunk, (part) => ({ ms, bytes: Buffer.from(part) }))]
        maskIn(held, secrets)
        const text = release(longest - 1)
        if (size > bytesMax) ended = "full"
        return text === "" ? Effect.void : put(text)
      })

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => put(release(0) + Recording.endLine(ended ?? "left"))).pipe(
        Effect.zipRight(Effect.ignore(Effect.tryPromise(async () => file?.close())))
      )
    )
    return { write, end: (end) => Effect.sync(() => void (ended ??= end)) } satisfies Take
  })

/** Room for one more: the oldest go, by the time in their names. */
const makeRoom = async (folder: string, filesMax: number, folderBytesMax: number): Promise<void> => {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort().reverse()
  let bytes = 0
  for (const [index, name] of names.entries()) {
    const path = join(folder, name)
    // another take may tidy the folder at the same time
    bytes += await stat(path).then(({ size }) => size, () => 0)
    if (index >= filesMax - 1 || bytes > folderBytesMax) await rm(path, { force: true })
  }
}

/** Sizes for tests; the defaults otherwise. */
export interface RecorderLimits {
  readonly fileBytesMax?: number
  readonly filesMax?: number
  readonly folderBytesMax?: number
}

export const make = (dataDir: string, limits: RecorderLimits = {}): Recorder => {
  const folder = join(dataDir, "recordings")
  return {
    begin: Effect.fnUntraced(function*({ facts, keys, model, response }) {
      const at = DateTime.formatIso(DateTime.unsafeMake(yield* Clock.currentTimeMillis))
      const name = fileName(at, facts.id, yield* Random.nextIntBetween(0, 36 ** 6))
      const head = Recording.headLine({
        v: 1,
        family: facts.family,
        provider: facts.id,
        model,
        at,
        status: response.status,
        headers: maskedHeaders(Recording.keptOf(response.headers), secretsOf(keys))
      })
      const create = async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 })
        await makeRoom(folder, limits.filesMax ?? filesMax, limits.folderBytesMax ?? folderBytesMax)
        return open(join(folder, name), "wx", 0o600)
      }
      return yield* makeTake({
        create,
        head,
        bytesMax: limits.fileBytesMax ?? fileBytesMax,
        keys,
        providerId: facts.id
      })
    })
  }
}
