/** Summaries as a server would send them, for the tests of the page. */
import * as Schema from "effect/Schema"
import { Turn } from "../../src/domain/Resources.ts"

export const summary = (id: string, lastSeq: number, more: object = {}): Turn =>
  Schema.decodeUnknownSync(Turn)({
    id,
    sessionId: "s1",
    status: "completed",
    phase: "completed",
    text: "Hello",
    reasoning: "",
    usage: null,
    lastSeq,
    provider: "deterministic",
    model: "echo",
    attempts: 1,
    userMessageId: "m1",
    startedAt: "2026-01-01T00:00:00.000Z",
    ...more
  })
