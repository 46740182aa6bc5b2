/**
 * Saves raw answers of providers that are configured with `record: true`, one file each, in `<data folder>/recordings`.
 *
 * A key that the vendor echoes is masked, also where it is cut between two reads. A file takes at most `fileBytesMax`,
 * the folder keeps the newest `filesMax`. A recording that cannot be written is logged and given up: it never costs the
 * turn.
 */
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type FileHandle, mkdir, open, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import type { Keys } from "./Family.ts"
import type { ProviderFacts } from "./ProviderFacts.ts"
import * as Recording from "./Recording.ts"

/** A thousand answers of the default output cap would fit; no bug report needs more. */
const fileBytesMax = 64 * 1024 * 1024
const filesMax = 200

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

const mask = "*".charCodeAt(0)

/** Masks each key in `bytes`, and where one is cut between `before` and `bytes`, its end here and its beginning there. */
export const maskKeys = (before: Uint8Array, bytes: Uint8Array, keys: ReadonlyArray<Uint8Array>): void => {
  for (const key of keys) {
    const carried = Math.min(before.length, key.length - 1)
    const joined = Buffer.concat([before.subarray(before.length - carried), bytes])
    for (let at = joined.indexOf(key); at >= 0; at = joined.indexOf(key, at + key.length)) {
      for (let index = at; index < at + key.length; index++) {
        if (index < carried) before[before.length - carried + index] = mask
        else bytes[index - carried] = mask
      }
    }
  }
}

const fileName = (at: string, provider: string, chance: number) =>
  `${at.replace(/[:.]/g, "-")}-${provider}-${chance.toString(36).padStart(6, "0")}.jsonl`

const makeTake = (file: FileHandle, headBytes: number, keys: Keys) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const start = clock.unsafeCurrentTimeMillis()
    const secrets = Array.from(keys.values(), (key) => Buffer.from(Redacted.value(key))).filter(({ length }) =>
      length > 3
    )
    let size = headBytes
    let ended: Recording.End | undefined
    let broken = false
    /** The last read is written once the next is there: a key may be cut between the two. */
    let held: { readonly ms: number; readonly bytes: Uint8Array } | undefined

    const put = (text: string) =>
      broken ? Effect.void : Effect.tryPromise(() => file.appendFile(text)).pipe(
        Effect.catchAll((error) => {
          broken = true
          return Effect.logWarning("A recording could not be written and ends here", error.error)
        })
      )

    const lineOfHeld = (): string => {
      const line = held === undefined ? "" : Recording.pieceLine(held.ms, held.bytes)
      held = undefined
      size += line.length
      return line
    }

    const write: Take["write"] = (chunk) =>
      Effect.suspend(() => {
        if (ended !== undefined) return Effect.void
        let text = ""
        for (const part of chunk) {
          const bytes = Uint8Array.from(part)
          maskKeys(held?.bytes ?? new Uint8Array(), bytes, secrets)
          text += lineOfHeld()
          held = { ms: clock.unsafeCurrentTimeMillis() - start, bytes }
        }
        if (size > fileBytesMax) ended = "full"
        return text === "" ? Effect.void : put(text)
      })

    yield* Effect.addFinalizer(() => Effect.suspend(() => put(lineOfHeld() + Recording.endLine(ended ?? "left"))))
    return { write, end: (end) => Effect.sync(() => void (ended ??= end)) } satisfies Take
  })

/** Room for one more: the oldest go, by the time in their names. */
const makeRoom = async (folder: string): Promise<void> => {
  const files = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort()
  for (const name of files.slice(0, Math.max(0, files.length - filesMax + 1))) {
    await rm(join(folder, name), { force: true })
  }
}

const none: Take = { write: () => Effect.void, end: () => Effect.void }

export const make = (dataDir: string): Recorder => {
  const folder = join(dataDir, "recordings")
  return {
    begin: ({ facts, keys, model, response }) =>
      Effect.gen(function*() {
        const at = DateTime.formatIso(DateTime.unsafeMake(yield* Clock.currentTimeMillis))
        const name = fileName(at, facts.id, yield* Random.nextIntBetween(0, 36 ** 6))
        const head = Recording.headLine({
          v: 1,
          family: facts.family,
          provider: facts.id,
          model,
          at,
          status: response.status,
          headers: Recording.keptOf(response.headers)
        })
        const file = yield* Effect.acquireRelease(
          Effect.tryPromise(async () => {
            await mkdir(folder, { recursive: true, mode: 0o700 })
            await makeRoom(folder)
            const opened = await open(join(folder, name), "wx", 0o600)
            await opened.appendFile(head)
            return opened
          }),
          (opened) => Effect.ignore(Effect.tryPromise(() => opened.close()))
        )
        return yield* makeTake(file, head.length, keys)
      }).pipe(
        Effect.catchAll((error) =>
          Effect.as(Effect.logWarning(`The answer of provider "${facts.id}" could not be recorded`, error.error), none)
        )
      )
  }
}
