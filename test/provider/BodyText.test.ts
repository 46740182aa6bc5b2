/** A body is the JSON of its call, byte for byte, whatever was sent before it and used again. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Part, PromptMessage } from "../../src/domain/Message.ts"
import * as BodyText from "../../src/provider/BodyText.ts"
import type { CallInput } from "../../src/provider/Family.ts"
import { families } from "../../src/provider/LiveAdapters.ts"
import * as Prompt from "../../src/provider/wire/Prompt.ts"

const partArb = (role: PromptMessage["role"]): FastCheck.Arbitrary<Part> =>
  FastCheck.oneof(
    {
      weight: 12,
      arbitrary: FastCheck.string({ unit: "grapheme", maxLength: 6 }).map((text): Part => ({ type: "text", text }))
    },
    { weight: 1, arbitrary: FastCheck.constantFrom("", " ").map((text): Part => ({ type: "text", text })) },
    {
      weight: 1,
      arbitrary: FastCheck.constantFrom("a", "b", "ü!", "é!").map((toolCallId): Part =>
        role === "user"
          ? { type: "tool-result", toolCallId, content: "done" }
          : { type: "tool-call", toolCallId, toolName: `find ${toolCallId}`, arguments: { of: toolCallId } }
      )
    }
  )

/** Roles mostly in turn, as in a conversation; sometimes one speaks twice, or says nothing. */
const talkArb = (maxLength: number): FastCheck.Arbitrary<ReadonlyArray<PromptMessage>> =>
  FastCheck.array(
    FastCheck.record({
      isAnswered: FastCheck.integer({ min: 0, max: 15 }).map((chance) => chance > 0),
      asked: FastCheck.array(partArb("user"), { minLength: 1, maxLength: 2 }),
      said: FastCheck.array(partArb("assistant"), { minLength: 1, maxLength: 2 })
    }),
    { maxLength, size: "max" }
  ).map((talk) =>
    talk.flatMap(({ asked, isAnswered, said }): ReadonlyArray<PromptMessage> => [
      { role: "user", parts: asked },
      ...(isAnswered ? [{ role: "assistant" as const, parts: said }] : [])
    ])
  )

const inputOf = (messages: ReadonlyArray<PromptMessage>, system: string | undefined, prefix: boolean): CallInput => ({
  request: {
    model: "claude-x",
    messages,
    ...(system === undefined ? {} : { system }),
    generation: { temperature: 0.5 },
    attempt: 1,
    contextTokens: 1
  },
  facts: {
    baseUrl: "https://h.test/v1",
    region: undefined,
    capabilities: { streaming: true, tools: true, reasoning: false, prefix },
    quirks: { prefixField: "prefix" }
  },
  maxOutputTokens: 100,
  contextWindow: 1_000
})

/** The same said by other objects: nothing is known of them. */
const anew = (messages: ReadonlyArray<PromptMessage>): ReadonlyArray<PromptMessage> => structuredClone(messages)

describe("the body of a call", () => {
  for (const [name, family] of families) {
    it.prop(
      `${name}: is the same for a conversation that grew, was cut, or went another way, as for one sent at once`,
      {
        talk: talkArb(60),
        other: talkArb(3),
        views: FastCheck.array(
          FastCheck.record({
            from: FastCheck.oneof({ weight: 4, arbitrary: FastCheck.constant(0) }, FastCheck.nat(3)),
            share: FastCheck.double({ min: 0.3, max: 1, noNaN: true }),
            more: FastCheck.nat(6),
            system: FastCheck.constantFrom(undefined, "Be brief.", "Be long."),
            prefix: FastCheck.boolean()
          }),
          { minLength: 2, maxLength: 8 }
        )
      },
      ({ other, talk, views }) => {
        for (const { from, more, prefix, share, system } of views) {
          const messages = [...talk.slice(from, Math.ceil(talk.length * share)), ...other.slice(0, more)]
          const body = family.encode(inputOf(messages, system, prefix)).body
          const fresh = family.encode(inputOf(anew(messages), system, prefix)).body
          assert.strictEqual(Buffer.from(BodyText.encode(body)).toString(), JSON.stringify(fresh))
        }
      },
      { fastCheck: { numRuns: 150 } }
    )
  }

  for (const [name, family] of families) {
    it.prop(
      `${name}: is the same where the window moves on as for what is sent at once`,
      {
        // what is no text, and whoever speaks twice, ends what is kept
        talk: FastCheck.array(FastCheck.string({ unit: "grapheme", minLength: 1, maxLength: 40 }), {
          minLength: 80,
          maxLength: 120,
          size: "max"
        }).map((texts) =>
          texts.map((text, index): PromptMessage => ({
            role: index % 2 === 0 ? "user" : "assistant",
            parts: [{ type: "text", text: `${text}.` }]
          }))
        ),
        size: FastCheck.integer({ min: 34, max: 60 }),
        steps: FastCheck.array(FastCheck.record({ from: FastCheck.nat(3), to: FastCheck.nat(4) }), {
          minLength: 8,
          maxLength: 16
        })
      },
      ({ size, steps, talk }) => {
        let [from, to] = [0, size]
        for (const step of steps) {
          from += step.from
          to += step.to
          const messages = talk.slice(from, to)
          const body = family.encode(inputOf(messages, undefined, false)).body
          const fresh = family.encode(inputOf(anew(messages), undefined, false)).body
          assert.strictEqual(Buffer.from(BodyText.encode(body)).toString(), JSON.stringify(fresh))
        }
      },
      { fastCheck: { numRuns: 100 } }
    )
  }

  it.prop(
    "has the entries that the whole conversation gives, however much of its beginning stands for itself",
    { talk: talkArb(60), cut: FastCheck.nat(120) },
    ({ cut, talk }) => {
      for (const messages of [talk, talk.slice(0, cut), talk]) {
        assert.deepStrictEqual(Prompt.fromMessages(messages), Prompt.allEntries(messages))
      }
    },
    { fastCheck: { numRuns: 300 } }
  )

  it("leaves out what has no JSON, and keeps lists of anything", () => {
    for (
      const body of [{}, { a: undefined, b: [], c: [1, null, "ü"], d: [{}], e: { f: [[]] } }, { a: [{ b: 1 }, []] }]
    ) {
      assert.strictEqual(Buffer.from(BodyText.encode(body)).toString(), JSON.stringify(body))
    }
  })
})
