import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { frameBytesMax, type FrameDecoder } from "../../../src/provider/wire/Decoder.ts"
import { incomplete, protocol, unreadable } from "../../../src/provider/wire/Fault.ts"
import * as Sse from "../../../src/provider/wire/Sse.ts"
import { bytesOf, cutAt, pieces } from "../families/decoding.ts"

/** Keeps every event; data `end` closes it, `bad` is a fault that it keeps, `cut` is one that it cannot read. */
const recorder = () => {
  const events: Array<Sse.SseEvent> = []
  let progress: "open" | "closed" = "open"
  let fault: typeof incomplete | undefined
  const decoder: FrameDecoder<Sse.SseEvent> = {
    frame: (event) => {
      events.push(event)
      if (event.data === "end") progress = "closed"
      if (event.data === "bad") fault = protocol("the decoder's own")
      return event.data === "cut" ? unreadable : fault
    },
    end: () => fault ?? (progress === "closed" ? undefined : incomplete),
    progress: () => progress
  }
  return { events, sse: Sse.make(decoder) }
}

const read = (parts: Iterable<Uint8Array>) => {
  const { events, sse } = recorder()
  for (const part of parts) {
    const fault = sse.push(part)
    if (fault !== undefined) return { events, fault }
  }
  return { events, fault: sse.end() }
}

/** The events of a body, which are the same whole, in single bytes and cut at any one place. */
const eventsOf = (body: string) => {
  const bytes = bytesOf(body)
  const whole = read([bytes])
  assert.deepStrictEqual(read(pieces(bytes, 1)), whole, JSON.stringify(body))
  for (let at = 1; at < bytes.length; at++) assert.deepStrictEqual(read(cutAt(bytes, [at])), whole)
  return whole.events
}

const plain = (...data: ReadonlyArray<string>) => data.map((text) => ({ event: undefined, data: text }))

describe("server-sent events", () => {
  it("end their lines with LF, CRLF or CR, and are the same in every cut", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      const lines = ["event: named", "data: né 日本 🎈", "", "data: two", "", "", "data: end", ""]
      assert.deepStrictEqual(eventsOf(lines.join(end) + end), [
        { event: "named", data: "né 日本 🎈" },
        ...plain("two", "end")
      ])
    }
    assert.deepStrictEqual(eventsOf("data: a\r\n\ndata: b\r\rdata: c\n\r\n"), plain("a", "b", "c"))
  })

  it("may have comments before and between them, one or thirty", () => {
    const comments = (count: number) => ": OPENROUTER PROCESSING\n\n".repeat(count)
    for (const count of [1, 30]) {
      assert.deepStrictEqual(
        eventsOf(`${comments(count)}data: a\n:\n\n${comments(count)}data: end\n\n`),
        plain("a", "end")
      )
    }
  })

  it("need no space behind the colon, and lose no more than one", () => {
    assert.deepStrictEqual(eventsOf("data:a\n\ndata:  b \n\nevent:e\ndata:c\n\n"), [
      ...plain("a", " b "),
      { event: "e", data: "c" }
    ])
  })

  it("join their data lines, and may have fields that say nothing here", () => {
    assert.deepStrictEqual(
      eventsOf("id: 1\nretry: 5\ndata: {\ndata: }\nfoo: bar\nerrors: no\nretry: soon\nlonely\n\ndata\ndata\n\n"),
      plain("{\n}", "\n")
    )
  })

  it("without data are none", () => {
    assert.deepStrictEqual(eventsOf("event: ping\n\ndata:\n\ndata\n\n:\n\nevent: error\n\ndata: a\n\n"), plain("a"))
  })

  it("begin behind a byte order mark, and behind blank lines", () => {
    for (const start of ["\uFEFF", "\n\n", "\r\n", "\r", "\uFEFF\n"]) {
      assert.deepStrictEqual(eventsOf(`${start}data: a\n\n`), plain("a"))
    }
    assert.deepStrictEqual(eventsOf(" data: a\n\ndata: b\n\n"), plain("b"))
  })

  it("count at the end without a blank line, or without any line end", () => {
    for (const end of ["", "\n", "\r\n", "\r", "\n\n"]) {
      assert.deepStrictEqual(eventsOf(`data: a\n\ndata: last${end}`), plain("a", "last"))
    }
    assert.deepStrictEqual(eventsOf("data: a\n\nevent: error\ndata: last").at(-1), { event: "error", data: "last" })
  })

  it("are a cut answer where the last cannot be read, a broken one where another cannot", () => {
    assert.deepStrictEqual(read([bytesOf("data: a\n\ndata: cut")]), { events: plain("a", "cut"), fault: incomplete })
    assert.deepStrictEqual(read([bytesOf("data: cut\n\ndata: a\n\n")]), { events: plain("cut"), fault: unreadable })
    const whole = read([bytesOf("data: é").slice(0, -1)])
    assert.deepStrictEqual(whole, { events: plain("\uFFFD"), fault: incomplete })
  })

  it("an `error` field is an error event of its own", () => {
    const error = { event: "error", data: '{"code":500}' }
    for (const end of ["", "\n", "\n\n", "\r\n", "\n\ndata: b\n\n"]) {
      assert.deepStrictEqual(eventsOf(`data: a\n\nerror: {"code":500}${end}`).slice(0, 2), [...plain("a"), error])
      assert.deepStrictEqual(eventsOf(`error:{"code":500}${end}`)[0], error)
    }
    assert.deepStrictEqual(eventsOf("error\n\nerror:\n\nerror: \n\ndata: a\n\n"), plain("a"))
  })

  it("are read no further than the end or the first fault", () => {
    assert.deepStrictEqual(read([bytesOf("data: end\n\ndata: b\n\nerror: c\n\n")]), {
      events: plain("end"),
      fault: undefined
    })
    const { events, sse } = recorder()
    for (const more of ["data: bad\n\ndata: b\n\n", "data: c\n\n", "error: d\n"]) {
      assert.strictEqual(sse.push(bytesOf(more))?.detail, "the decoder's own")
    }
    assert.strictEqual(sse.end()?.detail, "the decoder's own")
    assert.deepStrictEqual(events, plain("bad"))
  })

  it("keep the decoder's own fault where the last has no blank line", () => {
    assert.strictEqual(read([bytesOf("data: bad")]).fault?.detail, "the decoder's own")
  })

  it("give nothing from a body that has none", () => {
    for (const body of ["", "\n", ": a\n\n", "<html>\n<p>data</p></html>", "\uFEFF", "   "]) {
      assert.deepStrictEqual([eventsOf(body), read([bytesOf(body)]).fault], [[], incomplete])
    }
  })

  it("are held up to the size of a frame and no further, in one line or in many", () => {
    for (const line of ["data: ", "data: a\ndata: ", ": ", "nonsense"]) {
      const { events, sse } = recorder()
      const piece = new Uint8Array(1_048_576).fill(0x20)
      let pushed = sse.push(bytesOf(line))
      for (let held = 0; held < frameBytesMax; held += piece.length) pushed = sse.push(piece)
      assert.strictEqual(pushed?.kind, "protocol")
      assert.strictEqual(sse.push(bytesOf("\n\ndata: a\n\n"))?.kind, "protocol")
      assert.strictEqual(sse.end()?.kind, "protocol")
      assert.deepStrictEqual(events, [])
    }
    const { events, sse } = recorder()
    const line = bytesOf(`data: ${" ".repeat(1_048_576)}\n`)
    let fault = sse.push(line)
    for (let held = 0; held < frameBytesMax && fault === undefined; held += line.length) fault = sse.push(line)
    assert.deepStrictEqual([events, fault?.kind], [[], "protocol"])
  })

  it("are held one at a time, each up to the size of a frame", () => {
    const { events, sse } = recorder()
    const piece = bytesOf(" ".repeat(1_048_576))
    for (const text of ["a", "end"]) {
      assert.isUndefined(sse.push(bytesOf(`: `)))
      for (let held = piece.length; held < frameBytesMax; held += piece.length) assert.isUndefined(sse.push(piece))
      assert.isUndefined(sse.push(bytesOf(`\ndata: ${text}\n\n`)))
    }
    assert.deepStrictEqual([events, sse.end()], [plain("a", "end"), undefined])
  })

  it("are the same in any cut of any text, with any comments between them", () => {
    const line = FastCheck.fullUnicodeString({ maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, ""))
    const event = FastCheck.record({
      event: FastCheck.option(FastCheck.constantFrom("message", "error", "é b"), { nil: undefined }),
      lines: FastCheck.array(line, { minLength: 1, maxLength: 3 }),
      comments: FastCheck.array(line, { maxLength: 2 })
    })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(event, { maxLength: 6 }),
        FastCheck.constantFrom("\n", "\r\n", "\r"),
        FastCheck.array(FastCheck.nat(400), { maxLength: 12 }),
        (sent, end, places) => {
          const body = sent.flatMap(({ comments, event, lines }) => [
            ...comments.map((text) => `:${text}`),
            ...(event === undefined ? [] : [`event: ${event}`]),
            ...lines.map((text) => `data: ${text}`),
            ""
          ]).map((text) => text + end).join("")
          const expected = sent
            .map(({ event, lines }) => ({ event, data: lines.join("\n") }))
            .filter(({ data }) => data !== "")
          const upTo = expected.findIndex(({ data }) => data === "end" || data === "bad" || data === "cut") + 1
          const found = read(cutAt(bytesOf(body), places)).events
          assert.deepStrictEqual(found, expected.slice(0, upTo || expected.length))
        }
      )
    )
  })

  it("any bytes are read without an exception, and no cut changes what they say", () => {
    const token = FastCheck.constantFrom(
      "data",
      ":",
      " ",
      "event",
      "error",
      "{",
      "[",
      "é",
      "\n",
      "\r",
      "\r\n",
      "\uFEFF"
    )
    const body = FastCheck.oneof(
      FastCheck.uint8Array({ maxLength: 80 }),
      FastCheck.array(token, { maxLength: 40 }).map((tokens) => bytesOf(tokens.join("")))
    )
    FastCheck.assert(
      FastCheck.property(body, FastCheck.array(FastCheck.nat(80)), (bytes, places) => {
        assert.deepStrictEqual(read(cutAt(bytes, places)), read([bytes]))
      }),
      { numRuns: 500 }
    )
  })
})

describe("one document instead of events", () => {
  it("is one event, whole or in pieces, behind blank lines and a byte order mark", () => {
    for (const json of ['{"error":"né"}', '[{"error":1}]', '{\n "a": "data: b"\n}\n']) {
      for (const start of ["", "\n", "\r\n  \n", "\uFEFF", "  "]) {
        const found = eventsOf(start + json)
        assert.strictEqual(found.length, 1)
        assert.deepStrictEqual(JSON.parse(found[0]?.data ?? ""), JSON.parse(json))
        assert.isUndefined(found[0]?.event)
      }
    }
  })

  it("is given at its end, and not before", () => {
    const { events, sse } = recorder()
    sse.push(bytesOf('{"a":1}\n\n'))
    assert.deepStrictEqual(events, [])
    assert.deepStrictEqual([sse.end(), events.length], [incomplete, 1])
  })

  it("is held up to the size of a frame and no further", () => {
    const { events, sse } = recorder()
    const piece = new Uint8Array(1_048_576).fill(0x20)
    assert.isUndefined(sse.push(bytesOf("{")))
    for (let held = piece.length; held < frameBytesMax; held += piece.length) assert.isUndefined(sse.push(piece))
    assert.strictEqual(sse.push(piece)?.kind, "protocol")
    assert.strictEqual(sse.push(piece)?.kind, "protocol")
    assert.strictEqual(sse.end()?.kind, "protocol")
    assert.deepStrictEqual(events, [])
  })
})

describe("P24: lines without an event", () => {
  it("are bounded by their number too: each costs memory beyond its characters", () => {
    for (const line of ["data\n", "data:\r\n", ":\r", "\n"]) {
      const part = bytesOf(line.repeat(1_000))
      const { fault } = read(Array.from({ length: 70 }, () => part))
      assert.strictEqual(fault?.kind, "protocol", JSON.stringify(line))
    }
  })

  it("count anew behind each event", () => {
    const part = bytesOf(`${":\n".repeat(1_000)}data: x\n\n`)
    const { events, fault } = read(Array.from({ length: 100 }, () => part))
    assert.strictEqual(events.length, 100)
    assert.strictEqual(fault, incomplete)
  })
})
