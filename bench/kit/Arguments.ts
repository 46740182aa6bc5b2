/** Arguments of a bench: what is wrong is said before anything runs. */
import { parseArgs, type ParseArgsConfig } from "node:util"

export class WrongUse extends Error {}

/** As `parseArgs`, with no positional arguments; throws `WrongUse`. */
export const parse = <O extends NonNullable<ParseArgsConfig["options"]>>(args: ReadonlyArray<string>, options: O) => {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (fault) {
    // its second sentence is about arguments that begin with a dash
    throw new WrongUse(fault instanceof Error ? fault.message.replace(/\. .*$/s, "") : String(fault))
  }
}

/** A whole number from 1, or what stands for it where none is given. */
export const count = (name: string, text: string | undefined, fallback: number): number => {
  if (text === undefined) return fallback
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0 && text.trim() !== "") return value
  throw new WrongUse(`--${name} needs a whole number from 1, not "${text}"`)
}

/** Names between commas, all of them known; all that are known where none is given. */
export const choice = <A extends string>(
  name: string,
  text: string | undefined,
  known: ReadonlyArray<A>
): ReadonlyArray<A> => {
  if (text === undefined) return known
  const named = text.split(",").map((one) => one.trim())
  const chosen = known.filter((one) => named.includes(one))
  const unknown = named.filter((one) => !known.some((other) => other === one))
  if (unknown.length === 0) return chosen
  throw new WrongUse(`--${name} does not know "${unknown.join(", ")}"; it knows ${known.join(", ")}`)
}

/** What `read` makes of the arguments; on wrong ones says so, and how to use it, and ends this process with 2. */
export const orExit = <A>(usage: string, read: (args: ReadonlyArray<string>) => A): A => {
  const args = process.argv.slice(2)
  if (args.includes("--help")) {
    console.log(usage)
    process.exit(0)
  }
  try {
    return read(args)
  } catch (fault) {
    if (!(fault instanceof WrongUse)) throw fault
    console.error(`${fault.message}\n\n${usage}`)
    process.exit(2)
  }
}
