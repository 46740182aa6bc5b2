/** What a gate's run came to: the link between a row and the run that made it. Kept in the phase's `artifacts/results.json`. */
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"

export const Outcome = Schema.Literal("passed", "failed", "skipped", "blocked", "missing")
export type Outcome = typeof Outcome.Type

const Hash = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))

const RecordBody = Schema.Struct({
  id: Schema.String,
  command: Schema.String,
  outcome: Outcome,
  tests: Schema.Struct({ passed: Schema.Number, failed: Schema.Number, skipped: Schema.Number }),
  cited: Schema.Array(Schema.Struct({ file: Schema.String, title: Schema.String, state: Schema.String })),
  artifacts: Schema.Array(Schema.Struct({ name: Schema.String, bytes: Schema.Number, sha256: Hash })),
  /** Why it is not passed. */
  reason: Schema.optional(Schema.String)
})
export type RecordBody = typeof RecordBody.Type

export const GateRecord = Schema.extend(RecordBody, Schema.Struct({ digest: Hash }))
export type GateRecord = typeof GateRecord.Type

export const Results = Schema.Struct({
  phase: Schema.String,
  /** Of everything that the runs depended on: source, tests, lock. */
  sources: Hash,
  records: Schema.Array(GateRecord)
})
export type Results = typeof Results.Type

export const sha256 = (content: string | Uint8Array): string => createHash("sha256").update(content).digest("hex")

/** Of the record's content, whatever the order of its keys was. */
export const digestOf = ({ artifacts, cited, command, id, outcome, reason, tests }: RecordBody): string =>
  sha256(JSON.stringify([
    id,
    command,
    outcome,
    [tests.passed, tests.failed, tests.skipped],
    cited.map(({ file, state, title }) => [file, title, state]),
    artifacts.map(({ bytes, name, sha256 }) => [name, bytes, sha256]),
    reason ?? ""
  ]))

export const sealed = (body: RecordBody): GateRecord => ({ ...body, digest: digestOf(body) })

export const decodeResults = Schema.decodeUnknownEither(Schema.parseJson(Results), { onExcessProperty: "error" })

export const resultsText = (results: Results): string => `${JSON.stringify(results, null, 2)}\n`
