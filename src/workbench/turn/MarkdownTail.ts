/**
 * Mends the end of markdown that has not all arrived, so that no mark is shown raw for a moment: closes what is open,
 * hides a mark of which half is there. A guess about the next characters and nothing more: it is made for the last
 * block only, and text that has ended is never mended.
 *
 * Looks at the last `reachMax` characters, so its cost does not grow with the text.
 */
const reachMax = 4_000
/** A code span that is open for longer is rather a stray mark. */
const codeMax = 300

/** Where a run of inline text begins: after a blank line, a bullet, a heading or its mark, and before a row. */
const runStart = /^[ \t>]*(?:\n|(?:[-+*]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t])?|#{1,6}[ \t](?:[^\n]*\n)?|(?=\|))/gm
const fence = /^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(?:```|~~~)/gm
/** A line that may become a bullet, a rule, an underline, a fence or the second line of a table. */
const markOnly = /^[ \t>]*(?:[-+*=_#~`|: ]+|\d{1,9}[.)])[ \t]*$/
const openLink = /(?<![\w\]])!?\[([^[\]\n]{1,300})(?:\](?:\([^()\n]{0,2000})?)?$/

const withoutMarkLine = (text: string): string => {
  const start = text.lastIndexOf("\n") + 1
  return text.length - start < 200 && markOnly.test(text.slice(start)) ? text.slice(0, start) : text
}

/** The mark that closes a code span, where one is open. */
const openCode = (run: string): string | undefined => {
  let open: { readonly mark: string; readonly at: number } | undefined
  for (const { 0: mark, index } of run.matchAll(/`+/g)) {
    if (open === undefined) open = { mark, at: index }
    else if (open.mark === mark) open = undefined
  }
  return open === undefined || run.length - open.at > codeMax ? undefined : open.mark
}

const openEmphasis = (run: string): string => {
  const open: Array<string> = []
  for (const { 0: mark, index } of run.matchAll(/\\.|(`+)[^`]*\1|\*\*|__|~~|[*_]/g)) {
    if (!/^[*_~]/.test(mark)) continue
    const before = run[index - 1] ?? " "
    const after = run[index + mark.length] ?? " "
    const level = open.lastIndexOf(mark)
    if (level >= 0 && /\S/.test(before)) open.length = level
    else if (/\S/.test(after) && (mark === "**" || mark === "~~" || /[\s\p{P}]/u.test(before))) open.push(mark)
  }
  return open.reverse().join("")
}

/** A run that so far is a task's box, or half of it, is nothing yet. */
const mendInline = (run: string): string => {
  if (/^\[[ xX]?\]?$/.test(run)) return ""
  const code = openCode(run.replace(/`+$/, ""))
  if (code !== undefined) return run.replace(/\s*`*$/, code)
  const shown = run.replace(/(?:[*_~`]+|!?\[|\\)$/, "").replace(openLink, "$1")
  const marks = openEmphasis(shown)
  return marks === "" ? shown : shown.trimEnd() + marks
}

/** A table as far as its head is there. */
const mendHead = (line: string): string => {
  const cells = line.replace(/\\\|/g, "").replace(/\|?\s*$/, "").split("|").length - 1
  return cells === 0 ? line : `${line.trimEnd()}${/\|\s*$/.test(line) ? "" : "|"}\n|${"-|".repeat(cells)}`
}

/** Where the last block begins. */
const blockStart = (text: string): number => {
  let start = 0
  for (const { 0: blank, index } of text.matchAll(/\n[ \t]*\n/g)) start = index + blank.length
  return start
}

export const mend = (text: string): string => {
  const far = text.slice(0, -reachMax)
  const near = withoutMarkLine(text.slice(far.length))
  const fences = [...near.matchAll(fence)]
  // the lexer takes a line for the start of code once it has ended
  if (fences.length % 2 === 1) return near.includes("\n", fences.at(-1)?.index) ? text : `${text}\n`
  const start = blockStart(near)
  const head = near.slice(start).trimEnd()
  if (/^ {0,3}\|[^\n]+$/.test(head)) return far + near.slice(0, start) + mendHead(head)
  let run = 0
  for (const match of near.matchAll(runStart)) run = match.index + match[0].length
  if (/^[ \t>]*\|/.test(near.slice(near.lastIndexOf("\n") + 1))) run = near.lastIndexOf("|") + 1
  return far + near.slice(0, run) + mendInline(near.slice(run))
}
