/** Light, dark, or as the system has it; kept in this browser. */
import { type ReadonlySignal, signal } from "@preact/signals"
import * as Kept from "./Kept.ts"

const themes = ["system", "light", "dark"] as const
export type Theme = typeof themes[number]

const key = "theme"
const chosen = signal<Theme>(themes.find((name) => name === Kept.local.read(key)) ?? "system")

const apply = (): void => {
  if (chosen.value === "system") delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = chosen.value
}

export const theme: ReadonlySignal<Theme> = chosen

export const next = (): void => {
  chosen.value = themes[(themes.indexOf(chosen.value) + 1) % themes.length] ?? "system"
  Kept.local.write(key, chosen.value)
  apply()
}

apply()
