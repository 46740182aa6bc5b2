/** The framing alone: what is a message, what is damage, what is a cut. */
import { assert, describe, it } from "@effect/vitest"
import { EventStreamCodec, Int64, type MessageHeaders } from "@smithy/eventstream-codec"
import * as DateTime from "effect/DateTime"
import * as fc from "effect/FastCheck"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { frameBytesMax, type Progress } from "../../../src/provider/wire/Decoder.ts"
import * as EventStream from "../../../src/provider/wire/EventStream.ts"
import type { Fault } from "../../../src/provider/wire/Fault.ts"
import { bytesOf, concat, cutAt, pieces } from "../families/decoding.ts"
import { unlessThere } from "../families/fixtures.ts"

const codec = new EventStreamCodec((bytes) => Buffer.from(bytes).toString("utf8"), bytesOf)

const encoded = (body: string, headers: MessageHeaders = {}) => codec.encode({ headers, body: bytesOf(body) })

interface Read {
  readonly messages: ReadonlyArray<{ readonly headers: Record<string, string>; readonly body: string }>
  readonly fault: Fault | undefined
  readonly end: Fault | undefined
}

/** Every message read out of the pieces; it closes after `closeAfter` of them. */
const read = (parts: Iterable<Uint8Array>, { closeAfter = Infinity, progress = "open" as Progress } = {}): Read => {
  const messages: Array<Read["messages"][number]> = []
  const decoder = EventStream.make({
    frame: ({ body, headers }) => {
      messages.push({ headers: Object.fromEntries(headers), body: Buffer.from(body).toString("utf8") })
      return undefined
    },
    end: () => undefined,
    progress: () => (messages.length >= closeAfter ? "closed" : progress)
  })
  let fault: Fault | undefined
  for (const part of parts) fault = decoder.push(part)
  return { messages, fault, end: decoder.end() }
}

/** CRC-32, written out here so that the test does not believe the code. */
const crc32 = (bytes: Uint8Array): number => {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  return ~crc >>> 0
}

/** A prelude of any lengths whose CRC is right, and a body whose CRC is right too. */
const forged = (total: number, headerBytes: number, rest: Uint8Array = new Uint8Array(0)) => {
  const bytes = new Uint8Array(12 + rest.length + 4)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, total)
  view.setUint32(4, headerBytes)
  view.setUint32(8, crc32(bytes.subarray(0, 8)))
  bytes.set(rest, 12)
  view.setUint32(12 + rest.length, crc32(bytes.subarray(0, 12 + rest.length)))
  return bytes
}

const three = [
  encoded("first"),
  encoded(""),
  encoded("dritte – ünï", { ":event-type": { type: "string", value: "größe" } })
]
const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte))

describe("EventStream", () => {
  it("gives headers that are text, and the body", () => {
    const { fault, messages } = read([encoded("{}", {
      ":message-type": { type: "string", value: "event" },
      flag: { type: "boolean", value: true },
      no: { type: "boolean", value: false },
      byte: { type: "byte", value: 1 },
      short: { type: "short", value: 2 },
      count: { type: "integer", value: 3 },
      long: { type: "long", value: Int64.fromNumber(4) },
      bytes: { type: "binary", value: bytesOf("five") },
      at: { type: "timestamp", value: DateTime.toDateUtc(DateTime.unsafeMake(6)) },
      uuid: { type: "uuid", value: "01234567-89ab-4def-8123-456789abcdef" },
      ":event-type": { type: "string", value: "ünï" }
    })])
    assert.isUndefined(fault)
    assert.deepStrictEqual(messages, [{ headers: { ":message-type": "event", ":event-type": "ünï" }, body: "{}" }])
  })

  it("reads the same messages whatever the cut", () => {
    const body = concat(three)
    const whole = read([body])
    assert.deepStrictEqual(whole.messages.map((message) => message.body), ["first", "", "dritte – ünï"])
    for (let size = 1; size <= body.length; size++) assert.deepStrictEqual(read(pieces(body, size)), whole)
    fc.assert(fc.property(fc.array(fc.nat(body.length), { maxLength: 12 }), (places) => {
      assert.deepStrictEqual(read(cutAt(body, places)), whole)
    }))
  })

  it("reads a message that lies in the middle of a larger buffer", () => {
    const pool = concat([bytesOf("unrelated bytes before"), ...three, bytesOf("and behind")])
    const inside = pool.subarray(22, pool.length - 10)
    assert.strictEqual(read([inside]).messages.length, 3)
    assert.strictEqual(read([Buffer.from(pool).subarray(22, pool.length - 10)]).messages.length, 3)
  })

  it("any damaged byte is a protocol fault that says what is wrong, or a cut", () => {
    const good = encoded("payload", { name: { type: "string", value: "value" } })
    for (let at = 0; at < good.length; at++) {
      for (const parts of [[flipped(good, at)], pieces(flipped(good, at), 1)]) {
        const { fault, messages } = read(parts)
        assert.deepStrictEqual(messages, [])
        assert.deepStrictEqual(fault, {
          kind: "protocol",
          detail: at < 12 ? "the checksum of a message's prelude is wrong" : "the checksum of a message is wrong"
        })
      }
    }
  })

  it("a damaged length is refused with the prelude and not waited for", () => {
    const good = encoded("payload")
    for (let at = 0; at < 4; at++) {
      for (const parts of [[flipped(good, at).slice(0, 12)], pieces(flipped(good, at).slice(0, 12), 5)]) {
        assert.strictEqual(read(parts).fault?.kind, "protocol")
      }
    }
  })

  it("lengths that cannot be are refused although their checksum is right", () => {
    const refused = (bytes: Uint8Array) => {
      const found = read([bytes])
      assert.deepStrictEqual(found.messages, [])
      assert.strictEqual(found.fault?.kind, "protocol")
      return found.fault?.detail
    }
    assert.match(refused(forged(15, 0)) ?? "", /15 bytes is too short/)
    assert.match(refused(forged(0, 0)) ?? "", /0 bytes is too short/)
    assert.match(refused(forged(frameBytesMax + 1, 0)) ?? "", new RegExp(`larger than ${frameBytesMax} bytes`))
    assert.match(refused(forged(0xffff_ffff, 0)) ?? "", /larger than/)
    assert.match(refused(forged(16, 1)) ?? "", /headers of a message are longer/)
    assert.isUndefined(read([forged(frameBytesMax, frameBytesMax - 16)]).fault)
  })

  it("headers that cannot be read are a protocol fault that says so", () => {
    const rest = new Uint8Array([1, 0x61, 99])
    const unknownType = forged(16 + rest.length, rest.length, rest)
    for (const parts of [[unknownType], pieces(unknownType, 1)]) {
      assert.deepStrictEqual(read(parts).fault, {
        kind: "protocol",
        detail: "the headers of a message cannot be read"
      })
    }
  })

  it("a header named like a part of every object is only a header", () => {
    const { messages } = read([
      encoded("x", Object.fromEntries([["constructor", { type: "string" as const, value: "c" }]]))
    ])
    assert.deepStrictEqual(messages.map(({ headers }) => headers), [{ constructor: "c" }])
  })

  it("bytes that are left at the end of an open answer are a cut; after its end the answer's own word counts", () => {
    const body = concat(three)
    const borders = new Set([
      0,
      three[0]?.length,
      three[0] && three[1] && three[0].length + three[1].length,
      body.length
    ])
    for (let size = 0; size <= body.length; size++) {
      const cut = body.slice(0, size)
      assert.strictEqual(read([cut]).end?.kind, borders.has(size) ? undefined : "incomplete_stream", `${size} bytes`)
      assert.isUndefined(read([cut], { progress: "finished" }).end)
    }
  })

  it("nothing is read after a fault or behind the end", () => {
    const [first, second] = three
    if (first === undefined || second === undefined) throw new Error("no messages")
    const { fault, messages } = read([concat([first, flipped(second, 9), first]), first])
    assert.strictEqual(messages.length, 1)
    assert.strictEqual(fault?.kind, "protocol")
    assert.deepStrictEqual(
      read([concat([first, bytesOf("no message at all, and long enough to be one")])], { closeAfter: 1 }),
      {
        messages: [{ headers: {}, body: "first" }],
        fault: undefined,
        end: undefined
      }
    )
  })

  it("any bytes give messages or one fault, never an exception", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (parts) => {
        const { fault } = read(parts)
        assert.include([undefined, "protocol"], fault?.kind)
      }),
      { numRuns: 500 }
    )
    // headers of any bytes under checksums that are right
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 48 }), fc.nat(48), (rest, headerBytes) => {
        const { fault, messages } = read([forged(16 + rest.length, headerBytes, rest)])
        assert.strictEqual(messages.length, fault === undefined ? 1 : 0)
      }),
      { numRuns: 2_000 }
    )
  })

  it("a message that comes byte by byte costs time in proportion to its size", () => {
    const seconds = (size: number) => {
      const message = encoded("x".repeat(size))
      const started = process.cpuUsage()
      assert.strictEqual(read(pieces(message, 1)).messages.length, 1)
      return process.cpuUsage(started).user / 1e6
    }
    seconds(50_000)
    const [small, large] = [seconds(100_000), seconds(1_600_000)]
    // 16 times as much; copying the message for each byte would be 256 times as slow
    assert.isBelow(large, Math.max(small, 0.02) * 80)
  })
})

const vectors = fileURLToPath(new URL("../../../../shared/fixtures/wire/eventstream-vectors/", import.meta.url))
const names = (folder: string) => (existsSync(vectors + folder) ? readdirSync(vectors + folder) : [])

unlessThere(existsSync(vectors), "event stream vectors", () => {
  for (const name of names("encoded/positive")) {
    it(`${name} is read`, () => {
      const bytes = new Uint8Array(readFileSync(`${vectors}encoded/positive/${name}`))
      const expected = JSON.parse(readFileSync(`${vectors}decoded/positive/${name}`, "utf8"))
      const base64 = (text: string) => Buffer.from(text, "base64").toString("utf8")
      for (const parts of [[bytes], pieces(bytes, 1)]) {
        const { end, fault, messages } = read(parts)
        assert.isUndefined(fault ?? end)
        assert.deepStrictEqual(messages, [{
          headers: Object.fromEntries(
            expected.headers.flatMap((header: { name: string; type: number; value: string }) =>
              header.type === 7 ? [[header.name, base64(header.value)]] : []
            )
          ),
          body: base64(expected.payload)
        }])
      }
    })
  }

  for (const name of names("encoded/negative")) {
    it(`${name} is a protocol fault`, () => {
      const bytes = new Uint8Array(readFileSync(`${vectors}encoded/negative/${name}`))
      const expected = readFileSync(`${vectors}decoded/negative/${name}`, "utf8")
      for (const parts of [[bytes], pieces(bytes, 1)]) {
        const { fault, messages } = read(parts)
        assert.deepStrictEqual(messages, [])
        assert.strictEqual(fault?.kind, "protocol")
        assert.strictEqual(fault?.detail?.includes("prelude"), expected.startsWith("Prelude"))
      }
    })
  }
})

describe("a body that is JSON instead", () => {
  const body = bytesOf(JSON.stringify({ message: "ü: slow down", code: "ThrottlingException" }))

  it("is the error that it tells, cut anywhere", () => {
    for (const size of [body.length, 1, 5]) {
      const { end, fault, messages } = read(pieces(body, size))
      assert.isUndefined(fault)
      assert.deepStrictEqual(end, { kind: "rate_limit", detail: "ü: slow down" })
      assert.strictEqual(messages.length, 0)
    }
  })

  it("is incomplete where it is cut, and is not kept beyond what an error says", () => {
    assert.strictEqual(read([body.slice(0, -1)]).end?.kind, "incomplete_stream")
    const huge = Array.from({ length: 64 }, () => bytesOf("{".repeat(65_536)))
    assert.strictEqual(read(huge).end?.kind, "incomplete_stream")
  })
})
