/** Rows of a history that are checked by hand are read as their schema reads them. */
import type { Connection } from "@effect/sql/SqlConnection"
import type { Statement } from "@effect/sql/Statement"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as HistoryRows from "../../src/journal/HistoryRows.ts"
import * as Rows from "../../src/journal/Rows.ts"
import { rows } from "../../src/journal/Storage.ts"

const statement = { compile: () => ["", []] } as unknown as Statement<unknown>
const giving = (row: unknown) => ({ execute: () => Effect.succeed([row]) }) as unknown as Connection

const idArb = FastCheck.constantFrom<unknown>("t1", "a_b-C", "", "no id", "x".repeat(65), null, 7)
const positionArb = FastCheck.constantFrom<unknown>(1, 0, null, 1.5, "1", Number.MAX_SAFE_INTEGER)
const partArb = FastCheck.constantFrom<unknown>(
  { type: "text", text: "said" },
  { text: "said", type: "text", more: 1 },
  { type: "text" },
  { type: "text", text: 1 },
  { type: "reasoning", text: "thought" },
  { type: "tool-call", toolCallId: "c", toolName: "t", arguments: { a: [1] } },
  { type: "tool-result", toolCallId: "c", content: null },
  { type: "tool-result", toolCallId: "", content: null },
  null
)
const partsArb = FastCheck.oneof(
  { weight: 4, arbitrary: FastCheck.array(partArb, { maxLength: 2 }).map((parts) => JSON.stringify(parts)) },
  { weight: 1, arbitrary: FastCheck.constantFrom<unknown>("", "{", "null", "{}", 7, null, "[[]]") }
)

/** Mostly fields that are right, so that one wrong one is met alone. */
const mostly = <A>(right: A, other: FastCheck.Arbitrary<A>) =>
  FastCheck.oneof({ weight: 6, arbitrary: FastCheck.constant(right) }, { weight: 1, arbitrary: other })

const rowArb = FastCheck.record({
  id: mostly<unknown>("m1", idArb),
  userMessageId: mostly<unknown>("q1", idArb),
  turnId: mostly<unknown>(null, idArb),
  messageId: mostly<unknown>("m2", idArb),
  resumedFrom: mostly<unknown>(null, idArb),
  position: mostly<unknown>(3, positionArb),
  startPos: mostly<unknown>(1, positionArb),
  endPos: mostly<unknown>(2, positionArb),
  chars: mostly<unknown>(null, positionArb),
  status: mostly<unknown>("completed", FastCheck.constantFrom<unknown>("failed", "running", "other", null)),
  errorTag: mostly<unknown>(null, FastCheck.constantFrom<unknown>("Cancelled", 1)),
  role: mostly<unknown>("user", FastCheck.constantFrom<unknown>("assistant", "system", null)),
  parts: partsArb
})

const readers = [
  ["questions", HistoryRows.questionRows, rows(Rows.MessageRow.pick("id", "turnId", "position", "role", "parts"))],
  ["turns", HistoryRows.answerRows, rows(Rows.AnswerRow)],
  ["answers", HistoryRows.partsRows, rows(Rows.PartsRow)]
] as const

describe("rows of a history", () => {
  for (const [name, byHand, bySchema] of readers) {
    it.effect.prop(
      `${name}: what is not as it should be is refused, and what is read is the same`,
      { row: rowArb },
      ({ row }) =>
        Effect.gen(function*() {
          const found = yield* Effect.either<ReadonlyArray<unknown>, unknown, never>(byHand(giving(row), statement))
          assert.deepStrictEqual(
            found,
            yield* Effect.either<ReadonlyArray<unknown>, unknown, never>(bySchema(giving(row), statement))
          )
        }),
      { fastCheck: { numRuns: 150 } }
    )
  }
})
