/** A transcript read in pieces is what one parse and one check of the whole would say of it, to the word. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { pathText, schemaFault } from "../../src/config/SchemaFault.ts"
import { malformedPath } from "../../src/domain/Unicode.ts"
import { depthOf } from "../../src/http/Body.ts"
import * as JsonArray from "../../src/journal/JsonArray.ts"
import * as Transcript from "../../src/journal/Transcript.ts"
import * as TranscriptReader from "../../src/journal/TranscriptReader.ts"

const depthMax = 8

const decode = Schema.decodeUnknownEither(Transcript.Transcript, { onExcessProperty: "error", exact: true })

/** The plain way: everything at once. */
const atOnce = (bytes: Uint8Array): Either.Either<Transcript.Transcript, TranscriptReader.Fault> => {
  if (depthOf(bytes, depthMax) > depthMax) return Either.left({ kind: "depth" })
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    return Either.left({ kind: "syntax" })
  }
  const half = malformedPath(value)
  if (half !== undefined) return Either.left({ kind: "unicode", path: pathText(half) })
  return Either.mapLeft(decode(value), (error) => ({ kind: "schema", fault: schemaFault(error) }))
}

const inChunks = (bytes: Uint8Array, sizes: ReadonlyArray<number>) => {
  const reader = TranscriptReader.make(depthMax)
  let at = 0
  for (const size of sizes) {
    reader.write(bytes.subarray(at, at + size))
    at += size
  }
  reader.write(bytes.subarray(at))
  return Either.map(reader.end(), ({ messages, ...rest }) => ({ ...rest, messages: [...messages] }))
}

const assertSame = (bytes: Uint8Array, sizes: ReadonlyArray<number>) =>
  assert.deepStrictEqual(inChunks(bytes, sizes), atOnce(bytes), Buffer.from(bytes).toString().slice(0, 300))

const message = '{"role":"user","parts":[{"type":"text","text":"x"}]}'
const doc = (messages: string, head = '"v":1,"session":{}') => `{${head},"messages":[${messages}]}`

/** Documents with something in them that a splitter could get wrong. */
const hostile: Readonly<Record<string, string>> = {
  "nothing": "",
  "white space": " \n",
  "an empty list": doc(""),
  "white space in the list": doc(" \n "),
  "one message": doc(message),
  "white space everywhere": ` {\t"v" : 1 ,\r\n"session" : { } , "messages" : [ ${message} ,\n ${message} ] } \n`,
  "messages before the session": `{"messages":[${message}],"session":{"title":"t"},"v":1}`,
  "a comma before": doc(`,${message}`),
  "a comma after": doc(`${message},`),
  "only a comma": doc(","),
  "two commas": doc(`${message},,${message}`),
  "no comma": doc(`${message} ${message}`),
  "brackets in strings": doc('{"role":"user","parts":[{"type":"text","text":"],[}{\\"]}\\\\"}]}'),
  "an escape at the end of a string": doc('{"role":"user","parts":[{"type":"text","text":"\\\\"}]}'),
  "the list closed as an object": `{"v":1,"session":{},"messages":[${message}}`,
  "an element closed as a list": doc('{"role":"user"]'),
  "an object closed twice": doc(`${message}}`),
  "a list that never ends": `{"v":1,"session":{},"messages":[${message}`,
  "a string that never ends": `{"v":1,"session":{},"messages":["`,
  "a document after the document": `${doc(message)}${doc(message)}`,
  "something after it": `${doc(message)} x`,
  "two lists, the last one counts": `{"v":1,"session":{},"messages":[1],"messages":[${message}]}`,
  "two lists, the first one counts not": `{"v":1,"session":{},"messages":[${message}],"messages":[1]}`,
  "two lists, the first is no JSON": `{"v":1,"session":{},"messages":[${message},],"messages":[]}`,
  "a list, then something else": `{"v":1,"session":{},"messages":[${message}],"messages":7}`,
  "something else, then a list": `{"v":1,"session":{},"messages":{"messages":[1]},"messages":[${message}]}`,
  "a half in a list that does not count": `{"v":1,"session":{},"messages":["\\ud800"],"messages":[]}`,
  "its name by escapes": `{"v":1,"session":{},"m\\u0065ssages":[${message}]}`,
  "its name within": `{"v":1,"session":{"messages":[${message}]},"messages":[]}`,
  "its name as a value": `{"v":"messages","session":{},"messages":[${message}]}`,
  "its name in a list": `["messages",[${message}]]`,
  "a list where an object is due": `["messages":[${message}]]`,
  "no object": "[]",
  "a number": "7",
  "null": "null",
  "no messages": '{"v":1,"session":{}}',
  "messages that are no list": '{"v":1,"session":{},"messages":{}}',
  "another version": doc(message, '"v":2,"session":{}'),
  "an unknown member": doc(message, '"v":1,"more":[1],"session":{}'),
  "an unknown member and a bad message": doc("7", '"v":1,"more":1,"session":{}'),
  "a bad session and a bad message": doc("7", '"v":1,"session":{"title":7}'),
  "__proto__": doc(message, '"v":1,"session":{},"__proto__":["\\ud800"]'),
  "a message with more": doc(`${message},{"role":"user","parts":[{"type":"text","text":"x"}],"id":1}`),
  "a part with more": doc(`${message},{"role":"user","parts":[{"type":"text","text":"x","more":1}]}`),
  "no parts": doc(`${message},${message},{"role":"user","parts":[]}`),
  "another role": doc('{"role":"system","parts":[]}'),
  "a message that is none": doc(`${message},null`),
  "a bad message and bad syntax after it": `${doc("7")},`,
  "half a pair in a message": doc(`${message},{"role":"user","parts":[{"type":"text","text":"\\uDFFF"}]}`),
  "half a pair in a title": doc(message, '"v":1,"session":{"title":"\\ud800"}'),
  "half a pair in both": `{"messages":["\\ud800"],"session":"\\ud800"}`,
  "half a pair and a wrong version": doc('"\\ud800"', '"v":2'),
  "a pair by escapes": doc('{"role":"user","parts":[{"type":"text","text":"\\ud83d\\ude00"}]}'),
  "a pair as it is": doc('{"role":"user","parts":[{"type":"text","text":"\u{1f600} \u00e9"}]}'),
  "a byte order mark": `\ufeff${doc(message)}`,
  "two byte order marks": `\ufeff\ufeff${doc(message)}`,
  "a byte order mark in the list": doc(`\ufeff${message}`),
  "a byte order mark after it": `${doc(message)}\ufeff`,
  "too deep in a message": doc("[[[[[[[[1]]]]]]]]"),
  "too deep beside": doc(message, `"v":1,"session":${"[".repeat(9)}${"]".repeat(9)}`),
  "too deep after bad syntax": `x${"{".repeat(10)}`,
  "numbers in one": doc("1 2"),
  "a raw line feed in a string": doc('"a\nb"'),
  "brackets closed before they open": `]]]]${doc(message)}`
}

const odd: Readonly<Record<string, Uint8Array>> = {
  "UTF-8 cut off in a message": Buffer.concat([
    Buffer.from('{"v":1,"session":{},"messages":["'),
    Buffer.of(0xc3),
    Buffer.from('"]}')
  ]),
  "UTF-8 cut off beside": Buffer.concat([
    Buffer.from('{"v":1,"session":{"title":"'),
    Buffer.of(0xe2, 0x82),
    Buffer.from('"}}')
  ]),
  "no UTF-8": Buffer.from(doc('{"role":"user","parts":[{"type":"text","text":"\u00e9"}]}'), "latin1"),
  "UTF-16": Buffer.from(doc(message), "utf16le")
}

/** JSON of something like a transcript, mostly. */
const likely: FastCheck.Arbitrary<unknown> = FastCheck.jsonValue({ maxDepth: 3 })
const messageLike = FastCheck.record({
  role: FastCheck.oneof({ weight: 20, arbitrary: FastCheck.constantFrom<unknown>("user", "assistant") }, {
    weight: 1,
    arbitrary: likely
  }),
  parts: FastCheck.array(
    FastCheck.record({ type: FastCheck.constant("text"), text: FastCheck.string({ unit: "binary", maxLength: 12 }) }),
    { minLength: 1, maxLength: 3 }
  )
})
const messagesLike = FastCheck.array(
  FastCheck.oneof({ weight: 30, arbitrary: messageLike }, { weight: 1, arbitrary: likely }),
  { maxLength: 8 }
)
const documents = FastCheck.shuffledSubarray(["v", "session", "messages"], { minLength: 2 }).chain((names) =>
  FastCheck.tuple(...names.map((name) =>
    name === "v"
      ? FastCheck.constant('"v":1')
      : name === "session"
      ? FastCheck.constantFrom('"session":{}', '"session":{"title":"a ]"}', '"session":null')
      : messagesLike.map((value) => `"messages":${JSON.stringify(value)}`)
  ))
).map((members) => `{${members.join(",")}}`)

/** One byte struck out, put in or changed: mostly no JSON any more, and sometimes JSON that means something else. */
const damaged = FastCheck.tuple(documents, FastCheck.nat(), FastCheck.constantFrom(...'[]{}",:\\ 0u'), FastCheck.nat(2))
  .map(([text, at, by, how]) => {
    const place = at % (text.length + 1)
    return how === 0
      ? text.slice(0, place) + text.slice(place + 1)
      : text.slice(0, place) + by + text.slice(place + (how === 1 ? 0 : 1))
  })

describe("a transcript read in pieces", () => {
  for (const [name, text] of Object.entries(hostile)) {
    it(`says of ${name} what the whole says, wherever it is cut`, () => {
      const bytes = Buffer.from(text)
      for (let at = 0; at <= bytes.length; at++) assertSame(bytes, [at])
      assertSame(bytes, Array.from(bytes, () => 1))
    })
  }

  for (const [name, bytes] of Object.entries(odd)) {
    it(`says of ${name} what the whole says, wherever it is cut`, () => {
      for (let at = 0; at <= bytes.length; at++) assertSame(bytes, [at])
    })
  }

  it("says of any document what the whole says, in any chunks", () => {
    let good = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(documents, damaged), FastCheck.array(FastCheck.nat(40)), (text, sizes) => {
        const bytes = Buffer.from(text)
        if (Either.isRight(atOnce(bytes))) good++
        assertSame(bytes, sizes)
      }),
      { numRuns: 5_000 }
    )
    assert.isAbove(good, 100)
  })

  it("of many messages, so that there are many pieces: a fault is told with its place in the whole", () => {
    const bytes = (wrong: string) =>
      Buffer.from(doc([...Array.from({ length: 5_000 }, () => message), wrong, "7"].join(",")))
    for (const wrong of ["null", '{"role":"user","parts":[{"type":"text","text":7}]}', '"\\ud800"', message]) {
      assertSame(bytes(wrong), [])
      assertSame(bytes(wrong), Array.from({ length: 300 }, () => 1_000))
    }
    for (const list of [Array.from({ length: 5_000 }, () => message).join(","), `${`${message},`.repeat(5_000)}`]) {
      assertSame(Buffer.from(doc(list)), [70_000, 1])
    }
  })

  it("more messages than an import may have are refused in the schema's words", () => {
    const most = Array.from({ length: Transcript.messagesMax + 1 }, () => message)
    const reader = TranscriptReader.make(depthMax)
    reader.write(Buffer.from(`{"v":1,"session":{},"messages":[${message}`))
    const more = Buffer.from(`,${message}`.repeat(1_000))
    for (let at = 0; at < Transcript.messagesMax; at += 1_000) reader.write(more)
    reader.write(Buffer.from("]}"))
    const whole = Either.mapLeft(
      decode({ v: 1, session: {}, messages: most.map(() => ({ role: "user", parts: [{ type: "text", text: "x" }] })) }),
      (error) => ({ kind: "schema" as const, fault: schemaFault(error) })
    )
    assert.isTrue(Either.isLeft(whole))
    assert.deepStrictEqual(reader.end(), whole)
  })

  it("what is beside the messages is bounded, and white space does not count", () => {
    const title = `"v":1,"session":{"title":"${"x".repeat(TranscriptReader.restBytesMax)}"}`
    assert.deepStrictEqual(inChunks(Buffer.from(doc(message, title)), []), Either.left({ kind: "rest" }))
    const spaced = doc(message, `"v":1,"session":{},${" ".repeat(2 * TranscriptReader.restBytesMax)}"x":1`)
    assertSame(Buffer.from(spaced), [])
    assertSame(Buffer.from(spaced.replace(',"x":1', "")), [])
  })
})

describe("elements cut from a document", () => {
  it("are all there in their order, in pieces of the size asked for, whatever they are", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.jsonValue({ maxDepth: 4 }), { maxLength: 30 }),
        FastCheck.nat(60),
        FastCheck.array(FastCheck.nat(20)),
        (elements, pieceBytes, sizes) => {
          const pieces: Array<Buffer> = []
          const cut = JsonArray.make({
            member: "list",
            depthMax: 100,
            restBytesMax: 1_000,
            pieceBytes,
            begin: () => {},
            take: (piece) => pieces.push(piece)
          })
          const bytes = Buffer.from(JSON.stringify({ a: 1, list: elements, b: [2] }))
          let at = 0
          for (const size of sizes) cut.write(bytes.subarray(at, at += size))
          cut.write(bytes.subarray(at))
          const parsed = pieces.map((piece): ReadonlyArray<unknown> => JSON.parse(piece.toString()))
          assert.deepStrictEqual(parsed.flat(), JSON.parse(JSON.stringify(elements)))
          assert.deepStrictEqual(JSON.parse(cut.rest().toString()), { a: 1, list: [], b: [2] })
          for (const [index, piece] of pieces.entries()) {
            if (index < pieces.length - 1) assert.isAtLeast(piece.length - 2, pieceBytes)
          }
        }
      ),
      { numRuns: 1_000 }
    )
  })
})
