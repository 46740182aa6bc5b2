/**
 * What marked leaves to whoever writes the HTML: character references, and which addresses may be followed.
 *
 * marked 18 hands over text with its numeric references resolved (and `&amp;` where a resolved one could be read twice)
 * and its named ones as written; addresses and titles with all of them as written; code, raw HTML and bare addresses
 * literally. So text and addresses are decoded here, once, and nothing else is.
 */
const names = [
  "amp&lt<gt>quot\"apos'nbsp\u00a0copy©reg®trade™hellip…mdash—ndash–lsquo‘rsquo’ldquo“rdquo”laquo«raquo»bull•middot·",
  "times×divide÷plusmn±minus−deg°microµpara¶sect§euro€pound£yen¥cent¢larr←rarr→uarr↑darr↓harr↔rArr⇒hArr⇔le≤ge≥ne≠",
  "asymp≈equiv≡infin∞sum∑prod∏radic√part∂int∫isin∈forall∀exist∃alphaαbetaβgammaγdeltaδepsilonεlambdaλmuμpiπsigmaσ",
  "phiφomegaωDeltaΔOmegaΩfrac12½check✓"
].join("")

const named: ReadonlyMap<string, string> = new Map(
  Array.from(names.matchAll(/([a-z]+(?:12)?)([^a-z0-9])/gi), ([, name = "", character = ""]) => [name, character])
)

const numeric = (code: number): string =>
  code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? "\ufffd" : String.fromCodePoint(code)

/** Text with its character references resolved; those of rare names stay as written. */
export const decode = (text: string): string =>
  text.includes("&")
    ? text.replace(
      /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z][\da-zA-Z]{1,31}));/g,
      (reference, decimal?: string, hex?: string, name?: string) =>
        name === undefined
          ? numeric(decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal))
          : named.get(name) ?? reference
    )
    : text

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
