/** Hashes of context contents: SHA-256 over canonical JSON, so that equal content has one hash on every machine. */
import { createHash } from "node:crypto"

/** Keys in code-unit order at every depth; absent values left out. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)])
  )
}

const canonicalJson = (value: unknown): string => JSON.stringify(sorted(value))

const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex")

export const hashOf = (content: unknown): string => sha256(canonicalJson(content))
