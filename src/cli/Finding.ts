/** What `doctor` found, a line each: a fact is neither right nor wrong, a warning is allowed and should be known. */
import type { Style } from "./Output.ts"

export interface Finding {
  readonly kind: "fine" | "fact" | "warning" | "fault"
  readonly text: string
  /** The tag that decides the exit code. */
  readonly fault?: string
}

export const fine = (text: string): Finding => ({ kind: "fine", text })
export const fact = (text: string): Finding => ({ kind: "fact", text })
export const warning = (text: string): Finding => ({ kind: "warning", text })
export const wrong = (text: string, fault: string): Finding => ({ kind: "fault", text, fault })

export const section = (title: string, findings: ReadonlyArray<Finding>, style: Style): string => {
  const marks = { fine: style.green("ok"), fact: style.dim("--"), warning: style.yellow("! "), fault: style.red("!!") }
  return [style.bold(title), ...findings.map(({ kind, text }) => `  ${marks[kind]} ${text}`)].join("\n")
}
