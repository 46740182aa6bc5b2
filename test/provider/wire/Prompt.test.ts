import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import type { Part, PromptMessage } from "../../../src/domain/Message.ts"
import * as Prompt from "../../../src/provider/wire/Prompt.ts"

const text = (text: string): Part => ({ type: "text", text })
const reasoning = (text: string): Part => ({ type: "reasoning", text })
const call = (toolCallId: string, toolName = "find", args: unknown = {}): Part => ({
  type: "tool-call",
  toolCallId,
  toolName,
  arguments: args
})
const result = (toolCallId: string, content: unknown): Part => ({ type: "tool-result", toolCallId, content })

const user = (...parts: ReadonlyArray<Part>): PromptMessage => ({ role: "user", parts })
const assistant = (...parts: ReadonlyArray<Part>): PromptMessage => ({ role: "assistant", parts })

const none = "(no result was given)"
const asked = (id: string, name = "find"): Prompt.Block => ({ type: "call", id, name, arguments: {} })
const answer = (id: string, content: string, name = "find"): Prompt.Block => ({ type: "result", id, name, content })
const saying = (text: string): Prompt.Block => ({ type: "text", text })
const entry = (role: Prompt.Entry["role"], ...blocks: ReadonlyArray<Prompt.Block>): Prompt.Entry => ({ role, blocks })

describe("messages as every vendor accepts them", () => {
  it("neighbours of one role are one entry; empty text and reasoning are left out", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([
        user(text("a"), text("")),
        user(),
        user(text("b")),
        assistant(reasoning("hm"), text("c")),
        user(text("")),
        assistant(text("d")),
        assistant(reasoning("hm")),
        user(text("e"))
      ]),
      [
        entry("user", saying("a"), saying("b")),
        entry("assistant", saying("c"), saying("d")),
        entry("user", saying("e"))
      ]
    )
    assert.deepStrictEqual(Prompt.fromMessages([]), [])
    assert.deepStrictEqual(Prompt.fromMessages([user(text("")), assistant(reasoning("x"))]), [])
  })

  it("results stand first, in the order of their calls, whatever message they came in", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([
        user(text("q")),
        assistant(text("I look."), call("1"), call("2", "look")),
        user(text("and"), result("2", { z: [1] })),
        user(result("1", "one"), text("more"))
      ]),
      [
        entry("user", saying("q")),
        entry("assistant", saying("I look."), asked("1"), asked("2", "look")),
        entry("user", answer("1", "one"), answer("2", '{"z":[1]}', "look"), saying("and"), saying("more"))
      ]
    )
  })

  it("a result is text or JSON; what is neither is empty", () => {
    const contents: ReadonlyArray<readonly [unknown, string]> = [
      ["", ""],
      ["x", "x"],
      [null, "null"],
      [false, "false"],
      [[1, "ö"], '[1,"ö"]'],
      [undefined, ""]
    ]
    for (const [content, expected] of contents) {
      const [, results] = Prompt.fromMessages([assistant(call("1")), user(result("1", content))])
      assert.deepStrictEqual(results?.blocks, [answer("1", expected)])
    }
  })

  it("a call that nobody answered has a result that says so, in the middle and at the end", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([assistant(call("1"), call("2")), user(result("2", "two")), assistant(call("3"))]),
      [
        entry("assistant", asked("1"), asked("2")),
        entry("user", answer("1", none), answer("2", "two")),
        entry("assistant", asked("3")),
        entry("user", answer("3", none))
      ]
    )
    assert.deepStrictEqual(
      Prompt.fromMessages([assistant(call("1")), user(text("go on"))]).at(-1),
      entry("user", answer("1", none), saying("go on"))
    )
  })

  it("a result without its call right before it is text", () => {
    const orphan = "Result of the tool call 1: one"
    for (
      const before of [
        [],
        [assistant(text("x"))],
        [assistant(call("1")), user(text("later")), assistant(text("x"))]
      ]
    ) {
      const last = Prompt.fromMessages([...before, user(text("see"), result("1", "one"))]).at(-1)
      assert.deepStrictEqual(last, entry("user", saying("see"), saying(orphan)))
    }
  })

  it("two calls with one id are answered in their order, and have ids of their own", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([assistant(call("1"), call("1", "look")), user(result("1", "a"), result("1", "b"))]),
      [
        entry("assistant", asked("1"), asked("1_2", "look")),
        entry("user", answer("1", "a"), answer("1_2", "b", "look"))
      ]
    )
  })

  it("of two results for one call the last counts", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([assistant(call("1")), user(result("1", "a"), result("1", "b"))]).at(-1),
      entry("user", answer("1", "b"))
    )
  })

  it("an id that a later turn uses again belongs to the nearest call, which gets another", () => {
    assert.deepStrictEqual(
      Prompt.fromMessages([
        assistant(call("1")),
        user(result("1", "old")),
        assistant(call("1", "look")),
        user(result("1", "new"))
      ]).map(({ blocks }) => blocks.at(-1)),
      [asked("1"), answer("1", "old"), asked("1_2", "look"), answer("1_2", "new", "look")]
    )
  })
})

describe("what some vendors want", () => {
  const question = [entry("user", saying("q"))]
  const resumed = [...question, entry("assistant", saying("half"))]

  it("the user speaks first", () => {
    const opened = Prompt.startingWithUser([entry("assistant", saying("Welcome."))])
    assert.deepStrictEqual(opened.map(({ role }) => role), ["user", "assistant"])
    assert.deepStrictEqual(Prompt.startingWithUser(opened), opened)
    assert.deepStrictEqual(Prompt.startingWithUser(question), question)
    assert.deepStrictEqual(Prompt.startingWithUser([]), [])
  })

  it("a cut answer is followed by the request to continue it", () => {
    assert.isTrue(Prompt.endsWithPrefix(resumed))
    const asking = Prompt.askingToContinue(resumed)
    assert.deepStrictEqual(asking, [...resumed, entry("user", saying(Prompt.continueText))])
    assert.isFalse(Prompt.endsWithPrefix(asking))
    assert.deepStrictEqual(Prompt.askingToContinue(asking), asking)
    assert.deepStrictEqual(Prompt.askingToContinue(question), question)
    assert.isFalse(Prompt.endsWithPrefix([]))
  })

  it("an answer that ends with calls is not one to continue", () => {
    assert.isFalse(Prompt.endsWithPrefix(Prompt.fromMessages([assistant(text("I look."), call("1"))])))
  })

  it("each tool of the conversation has a name, once", () => {
    const entries = Prompt.fromMessages([assistant(call("1"), call("2", "look")), assistant(call("3"))])
    assert.deepStrictEqual(Prompt.toolNames(entries), ["find", "look"])
    assert.deepStrictEqual(Prompt.toolNames(question), [])
  })

  it("arguments are an object", () => {
    assert.deepStrictEqual([{ a: 1 }, null, undefined, [1], "x", 0].map(Prompt.objectArguments), [
      { a: 1 },
      {},
      {},
      { value: [1] },
      { value: "x" },
      { value: 0 }
    ])
  })

  it("it is known whether the question is the results of calls", () => {
    assert.isTrue(Prompt.answersCalls(Prompt.fromMessages([assistant(call("1"))])))
    assert.isTrue(Prompt.answersCalls([entry("user", answer("1", "x"), saying("y")), entry("assistant", saying("z"))]))
    assert.isFalse(Prompt.answersCalls(resumed))
    assert.isFalse(Prompt.answersCalls([]))
  })

  it("a prefix ends without white space, and what was cut off is told", () => {
    const trimmed = (...texts: ReadonlyArray<string>) =>
      Prompt.trimmedPrefix([...question, entry("assistant", ...texts.map(saying))])
    assert.deepStrictEqual(trimmed("half \n"), { entries: resumed, trimmed: " \n" })
    assert.deepStrictEqual(trimmed("half"), { entries: resumed, trimmed: "" })
    assert.deepStrictEqual(trimmed("half ", "\n", " "), { entries: resumed, trimmed: " \n " })
    assert.deepStrictEqual(trimmed(" ", "\n"), { entries: question, trimmed: " \n" })
    assert.deepStrictEqual(Prompt.trimmedPrefix(question), { entries: question, trimmed: "" })
    assert.deepStrictEqual(Prompt.trimmedPrefix([]), { entries: [], trimmed: "" })
  })
})

describe("any history", () => {
  const id = FastCheck.constantFrom("1", "2", "3")
  const words = FastCheck.constantFrom("", "a", " ")
  const userPart = FastCheck.oneof(
    words.map(text),
    FastCheck.tuple(id, words).map(([id, content]) => result(id, content))
  )
  const assistantPart = FastCheck.oneof(
    words.map(text),
    words.map(reasoning),
    FastCheck.tuple(id, FastCheck.constantFrom("find", "look")).map(([id, name]) => call(id, name))
  )
  const message = FastCheck.oneof(
    FastCheck.array(userPart, { maxLength: 4 }).map((parts) => user(...parts)),
    FastCheck.array(assistantPart, { maxLength: 4 }).map((parts) => assistant(...parts))
  )
  const history = FastCheck.array(message, { maxLength: 10 })

  /** Messages that say what the entries do. */
  const messagesOf = (entries: ReadonlyArray<Prompt.Entry>): ReadonlyArray<PromptMessage> =>
    entries.map(({ blocks, role }) => ({
      role,
      parts: blocks.map((block): Part =>
        block.type === "text"
          ? block
          : block.type === "call"
          ? call(block.id, block.name, block.arguments)
          : result(block.id, block.content)
      )
    }))

  it("has roles that take turns, and nothing empty", () => {
    FastCheck.assert(FastCheck.property(history, (messages) => {
      const entries = Prompt.fromMessages(messages)
      entries.forEach(({ blocks, role }, index) => {
        assert.notStrictEqual(role, entries[index - 1]?.role)
        assert.isAbove(blocks.length, 0)
        assert.isTrue(blocks.every((block) => block.type !== "text" || block.text !== ""))
      })
    }))
  })

  it("has one result for each call, right behind it and in its order, and none without a call", () => {
    FastCheck.assert(FastCheck.property(history, (messages) => {
      const entries = Prompt.fromMessages(messages)
      entries.forEach(({ blocks, role }, index) => {
        const results = blocks.filter((block) => block.type === "result")
        const calls = role === "user" ? entries[index - 1]?.blocks.filter((block) => block.type === "call") ?? [] : []
        assert.deepStrictEqual(
          results.map(({ id, name }) => ({ id, name })),
          calls.map(({ id, name }) => ({ id, name }))
        )
        assert.deepStrictEqual(blocks.slice(0, results.length), results)
        if (role === "user") assert.isTrue(blocks.every((block) => block.type !== "call"))
      })
      assert.isFalse(entries.at(-1)?.role === "assistant" && entries.at(-1)?.blocks.some(({ type }) => type === "call"))
    }))
  })

  it("loses no text and no call, and nobody's words change", () => {
    FastCheck.assert(FastCheck.property(history, (messages) => {
      const blocks = Prompt.fromMessages(messages).flatMap(({ blocks }) => blocks)
      const parts = messages.flatMap(({ parts }) => parts)
      assert.deepStrictEqual(
        blocks.flatMap((block) => (block.type === "text" && !block.text.startsWith("Result of") ? [block.text] : [])),
        parts.flatMap((part) => (part.type === "text" && part.text !== "" ? [part.text] : []))
      )
      assert.deepStrictEqual(
        blocks.flatMap((block) => (block.type === "call" ? [`${block.id.replace(/_.*/, "")} ${block.name}`] : [])),
        parts.flatMap((part) => (part.type === "tool-call" ? [`${part.toolCallId} ${part.toolName}`] : []))
      )
      const ids = blocks.flatMap((block) => (block.type === "call" ? [block.id] : []))
      assert.strictEqual(new Set(ids).size, ids.length)
    }))
  })

  it("is itself once it was put in order", () => {
    FastCheck.assert(FastCheck.property(history, (messages) => {
      const entries = Prompt.fromMessages(messages)
      assert.deepStrictEqual(Prompt.fromMessages(messagesOf(entries)), entries)
    }))
  })

  it("begins with the user and ends with the user where that is wanted", () => {
    FastCheck.assert(FastCheck.property(history, (messages) => {
      const entries = Prompt.askingToContinue(Prompt.startingWithUser(Prompt.fromMessages(messages)))
      assert.isTrue(entries.length === 0 || (entries[0]?.role === "user" && entries.at(-1)?.role === "user"))
      assert.isTrue(entries.every(({ role }, index) => role === (index % 2 === 0 ? "user" : "assistant")))
    }))
  })
})
