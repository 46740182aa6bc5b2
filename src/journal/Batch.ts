/**
 * The events of one commit as one text, in a fraction of their bytes: what a line says again is not written again.
 *
 * One line an event, so that the schema can count them. A delta that differs from the one before it in its text alone is
 * `"` and the text as JSON has it; a digit in place of the quote says how many characters of its time differ, and they
 * come before the text. In every other line control characters, which JSON never holds, stand for what such events
 * always say. A tail as it is (`,"at":...`) stands for itself: rows from before schema version 5 are read by the same
 * code, and what begins a turn keeps the head that the schema looks for.
 *
 * Invariants: `unpack(pack(tails))` is `tails`, byte for byte, for any tails without a line feed, at least one. `unpack`
 * never fails: a damaged row gives tails that are no events. What a character stands for never changes; a new one needs a
 * new schema version, so that no older program reads it. Each stands at most a few times in a line, so that what a row
 * unpacks to is bounded by its size and the number of its events (`leftOutMax`).
 *
 * Why no compressor: this costs less than encoding the events did, and every reader reads it.
 */
import { typeOfTail } from "../domain/TurnEvent.ts"

/** `,"at":"2026-01-02T03:04:05.678Z` */
const timeLength = 31
/** Of a time, what may differ from delta to delta: minutes, seconds and milliseconds (`04:05.678`). */
const digitsMax = 9
const digitsEnd = timeLength - 1
const digitsStart = digitsEnd - digitsMax

const quote = 34
const zero = 48

/** Characters of control, and what they stand for. */
const table: Array<string | undefined> = []
const fragment = (code: number, text: string): readonly [string, string] => {
  table[code] = text
  return [String.fromCharCode(code), text]
}

const sameTime = "\x01"
/** And 17 digits. */
const timeDigits = "\x02"
/** And a tail as it is, whatever is in it. */
const verbatim = "\x1f"

const hash = fragment(3, ',"hash":"')
const included = fragment(4, '","action":"included"}')
const empty = fragment(
  5,
  '0,"hash":"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b","action":"omitted","reason":"empty"}'
)
const vacant = (slot: string) => `{"slot":"${slot}","source":"none","tokens":${empty[1]},`
const provider = fragment(6, '"data":{"provider":"')
const model = fragment(7, '","model":"')
const known = '"cacheReadTokens":null,"cacheWriteTokens":null,"reasoningTokens":null,"totalTokens":'
const output = fragment(8, ',"outputTokens":')
const total = fragment(9, `,${known}`)

/** What nearly every event of a journal says after its time. */
const said = fragment(21, '","attempt":1,"type":"model.delta","data":{"kind":"text","text":"')

/** What the events of a type say, in the order in which it is looked for: the longest before its parts. */
const fragments: ReadonlyMap<string, ReadonlyArray<readonly [string, string]>> = new Map(Object.entries({
  "turn.started": [provider, model, fragment(11, '","userMessageId":"')],
  "context.built": [
    fragment(
      12,
      `,${vacant("memory")}${vacant("skills")}${vacant("team")}{"slot":"history","source":"journal","tokens":`
    ),
    fragment(13, `,${vacant("attachments")}{"slot":"message","source":"request","tokens":`),
    fragment(
      14,
      '","type":"context.built","data":{"slots":[{"slot":"instructions","source":"session.system","tokens":'
    ),
    empty,
    empty,
    included,
    included,
    included,
    fragment(15, '],"budget":'),
    fragment(16, ',"reserve":'),
    fragment(17, ',"window":'),
    fragment(18, ',"total":'),
    fragment(19, '","compaction":false}}'),
    hash,
    hash,
    hash,
    hash
  ],
  "attempt.started": [
    fragment(20, '","attempt":1,"type":"attempt.started","data":{"attempt":1,"provider":"'),
    model
  ],
  "model.delta": [fragment(22, '","attempt":1,"type":"model.delta","data":{"kind":"reasoning","text":"')],
  "telemetry.usage": [
    fragment(23, '","attempt":1,"type":"telemetry.usage","data":{"usage":{"inputTokens":'),
    total,
    fragment(24, '},"source":"reported","contextPercent":'),
    output,
    fragment(25, ',"raw":{"prompt_tokens":'),
    fragment(26, ',"completion_tokens":')
  ],
  "checkpoint.saved": [
    fragment(27, '","type":"checkpoint.saved","data":{"checkpoint":1,"phase":"committing","seq":')
  ],
  "turn.completed": [
    fragment(28, '","type":"turn.completed","data":{"finishReason":"stop","rawFinishReason":"stop","messageId":"'),
    total,
    fragment(29, '","usage":{"inputTokens":'),
    output
  ]
}))

/**
 * Bytes that a line may leave out of a delta. What begins and ends a turn leaves out more: two kilobytes, some eight lines
 * a turn.
 */
export const leftOutMax = 112

const ending = '"}}'

/** What stands around the text of a delta, without the digits of its time that may differ. */
interface Around {
  readonly start: string
  readonly digits: string
  readonly rest: string
}

/** Undefined for what is no delta. */
const aroundOf = (tail: string): Around | undefined => {
  const type = tail.indexOf('"model.delta","data":{"kind":"', timeLength)
  if (type < 0 || type > leftOutMax) return undefined
  const text = tail.indexOf('","text":"', type) + 10
  return text < type || text + ending.length > leftOutMax ? undefined : {
    start: tail.slice(0, digitsStart),
    digits: tail.slice(digitsStart, digitsEnd),
    rest: tail.slice(digitsEnd, text)
  }
}

/** Whether only digits and the text differ. Slices are compared: `startsWith` with a slice takes three times as long. */
const follows = (tail: string, { rest, start }: Around): boolean => {
  const text = digitsEnd + rest.length
  return tail.length >= text + ending.length && tail.slice(digitsEnd, text) === rest &&
    tail.slice(0, digitsStart) === start && tail.endsWith(ending)
}

/** A delta that follows one with the digits `before`. */
const packNext = (tail: string, { rest }: Around, before: string, digits: string): string => {
  const text = tail.slice(digitsEnd + rest.length, -ending.length)
  if (digits === before) return `"${text}`
  let same = 0
  while (digits.charCodeAt(same) === before.charCodeAt(same)) same++
  return digitsMax - same + digits.slice(same) + text
}

/** Where a time has no digits. */
const isTimed = (tail: string): boolean =>
  tail.slice(0, 7) === ',"at":"' && tail[11] === "-" && tail[14] === "-" && tail[17] === "T" && tail[20] === ":" &&
  tail[23] === ":" && tail[26] === "." && tail[digitsEnd] === "Z"

const digitsOf = (tail: string): string =>
  tail.slice(7, 11) + tail.slice(12, 14) + tail.slice(15, 17) + tail.slice(18, 20) + tail.slice(21, 23) +
  tail.slice(24, 26) + tail.slice(27, digitsEnd)

const timeOf = (digits: string): string =>
  `,"at":"${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T${digits.slice(8, 10)}:${
    digits.slice(10, 12)
  }:${digits.slice(12, 14)}.${digits.slice(14)}Z`

/** What no line may be that is neither packed nor marked: it begins with a mark, or holds one. */
// oxlint-disable-next-line no-control-regex -- JSON has none
const needsMark = /^["1-9]|[\x00-\x1f]/

const shortened = (text: string, type: string): string => {
  let short = text
  for (const [code, long] of fragments.get(type) ?? []) short = short.replace(long, code)
  return short
}

/** A line by itself, but for the time of the one before. */
const packOne = (tail: string, previous: string | undefined): string => {
  if (needsMark.test(tail)) return verbatim + tail
  const type = typeOfTail(tail)
  // the schema looks for the head of what begins a turn
  if (type === "turn.started" || !isTimed(tail)) return shortened(tail, type)
  const time = previous?.slice(0, timeLength) === tail.slice(0, timeLength) ? sameTime : timeDigits + digitsOf(tail)
  const [code, long] = said
  return tail.slice(timeLength, timeLength + long.length) === long
    ? time + code + tail.slice(timeLength + long.length)
    : time + shortened(tail.slice(timeLength), type)
}

// oxlint-disable-next-line no-control-regex -- that is what they are
const codes = /[\x03-\x1e]/g
const standsFor = (code: string): string => table[code.charCodeAt(0)] ?? code

const unpackOne = (line: string, previous: string): string => {
  if (line.startsWith(verbatim)) return line.slice(1)
  const timed = line.startsWith(sameTime)
    ? previous.slice(0, timeLength) + line.slice(1)
    : line.startsWith(timeDigits)
    ? timeOf(line.slice(1, 18)) + line.slice(18)
    : line
  return timed.replace(codes, standsFor)
}

export const pack = (tails: ReadonlyArray<string>): string => {
  const lines: Array<string> = []
  let previous: string | undefined
  let around: Around | undefined
  let before = ""
  let isAlone = false
  for (const tail of tails) {
    // most commits of a slow answer are one delta: what stands around it is looked at when another comes
    const found: Around | undefined = isAlone && previous !== undefined ? aroundOf(previous) : undefined
    if (found !== undefined) {
      around = found
      before = found.digits
    }
    isAlone = around === undefined || !follows(tail, around)
    if (around === undefined || isAlone) lines.push(packOne(tail, previous))
    else {
      const digits = tail.slice(digitsStart, digitsEnd)
      lines.push(packNext(tail, around, before, digits))
      before = digits
    }
    previous = tail
  }
  return lines.join("\n")
}

export const unpack = (packed: string): ReadonlyArray<string> => {
  let previous = ""
  let around: Around = { start: "", digits: "", rest: "" }
  let head = ""
  let isAlone = false
  return packed.split("\n").map((line) => {
    const found: Around | undefined = isAlone ? aroundOf(previous) : undefined
    if (found !== undefined) {
      around = found
      head = found.start + found.digits + found.rest
    }
    const mark = line.charCodeAt(0)
    isAlone = false
    if (mark === quote) previous = head + line.slice(1) + ending
    else if (mark > zero && mark <= zero + digitsMax) {
      const text = mark - zero + 1
      head = head.slice(0, digitsEnd + 1 - text) + line.slice(1, text) + around.rest
      previous = head + line.slice(text) + ending
    } else {
      previous = unpackOne(line, previous)
      isAlone = true
    }
    return previous
  })
}
