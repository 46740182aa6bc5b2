/**
 * What marked leaves to whoever writes the HTML: character references, and which addresses may be followed.
 *
 * marked 17 hands over text, addresses and titles with their references as written; code, raw HTML and addresses that
 * are not in brackets are literal. So text and bracketed addresses are decoded here, once, and nothing else is.
 */
/** Of those that models write; a longer name could be one of every object's own. */
const names: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  reg: "®",
  trade: "™",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  laquo: "«",
  raquo: "»",
  bull: "•",
  middot: "·",
  times: "×",
  deg: "°",
  euro: "€",
  rarr: "→",
  larr: "←"
}

const character = (code: number): string =>
  code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? "\ufffd" : String.fromCodePoint(code)

/** Text with its character references resolved; those of rare names stay as written. */
export const decode = (text: string): string =>
  text.replace(
    /&(?:#(\d{1,7}|[xX][\da-fA-F]{1,6})|([a-z]{2,6}));/g,
    (reference, code: string | undefined, name: string) =>
      code === undefined ? names[name] ?? reference : character(Number(code.replace(/^x/i, "0x")))
  )

/**
 * The address as the browser will read it, where a person may follow it: an absolute one of the web, without a user name
 * (`https://bank.example@evil.example`), or of mail. Nothing of this origin: it has an interface, and a model must not
 * have it called. Spaces and control characters make a browser read another address than a person does.
 */
export const safeAddress = (address: string): string | undefined => {
  if (/[\s\p{C}\\]/u.test(address) || !/^(?:https?:\/\/[^/]|mailto:[^/])/i.test(address)) return undefined
  try {
    const url = new URL(address)
    return url.username === "" && url.password === "" ? url.href : undefined
  } catch {
    return undefined
  }
}

/** An address that is shown and not followed; `data:` may hold a whole file. */
export const shownAddress = (address: string): string => address.length > 200 ? `${address.slice(0, 200)}…` : address
