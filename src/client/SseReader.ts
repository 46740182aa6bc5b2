/**
 * Server-sent events from bytes, however they are cut: inside a character, a field name, a CRLF; by the rules of the HTML
 * standard. A third of the size of `eventsource-parser`, which the engine uses, and the page has a size to keep.
 *
 * Only new text is searched for line ends, so that one long line in many pieces costs linear time. A message that the
 * stream did not finish is dropped with the reader. `retry` is ignored: the follower has its own delays. A line is held
 * whole; the server bounds it (`limits.outputBytesPerTurn`).
 */
export interface SseMessage {
  /** `message` where the stream names none. */
  readonly event: string
  readonly data: string
  /** The last id that the stream gave, with this message or before it; empty where there was none. */
  readonly lastId: string
}

export interface SseReader {
  /** The messages that these bytes complete. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<SseMessage>
}

export const make = (): SseReader => {
  const decoder = new TextDecoder()
  let line = ""
  /** The text ended on CR: a LF that follows belongs to it. */
  let afterReturn = false
  let event = ""
  let data: Array<string> = []
  let lastId = ""

  const takeField = (name: string, value: string): void => {
    if (name === "data") data.push(value)
    else if (name === "event") event = value
    else if (name === "id" && !value.includes("\0")) lastId = value
  }

  const takeLine = (text: string, messages: Array<SseMessage>): void => {
    if (text === "") {
      if (data.length > 0) messages.push({ event: event === "" ? "message" : event, data: data.join("\n"), lastId })
      event = ""
      data = []
      return
    }
    const colon = text.indexOf(":")
    if (colon === -1) takeField(text, "")
    else if (colon > 0) takeField(text.slice(0, colon), text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1))
  }

  return {
    push: (bytes) => {
      const text = decoder.decode(bytes, { stream: true })
      if (text === "") return []
      const messages: Array<SseMessage> = []
      const lineEnd = /\r\n?|\n/g
      let start = afterReturn && text.startsWith("\n") ? 1 : 0
      afterReturn = text.endsWith("\r")
      lineEnd.lastIndex = start
      for (let end = lineEnd.exec(text); end !== null; end = lineEnd.exec(text)) {
        takeLine(line + text.slice(start, end.index), messages)
        line = ""
        start = lineEnd.lastIndex
      }
      line += text.slice(start)
      return messages
    }
  }
}
