/** What must stand before code, by file and headings (`.buildprint/setup`, `AGENTS.md`). */
import { headingsIn } from "../ledger/documents.ts"
import { textOf, type Tree } from "../ledger/Tree.ts"

const wanted: Readonly<Record<string, ReadonlyArray<string>>> = {
  "AGENTS.md": ["Glossary", "Map", "Commands", "Safety rules"],
  ".buildprint/setup/architecture.md": [
    "Architecture principles",
    "Base project structure",
    "Boundary map",
    "Dependency rules",
    "Architecture decisions",
    "Downstream phase extension map"
  ],
  ".buildprint/setup/engineering-standards.md": [
    "Clean code rules",
    "Validation and schemas",
    "Persistence standards",
    "Provider standards",
    "Worker/runtime standards",
    "UI standards",
    "Test standards"
  ],
  ".buildprint/setup/test-strategy.md": [],
  ".buildprint/setup/ui-identity.md": []
}

/** The gates and words that these two hold in tables. */
const said: Readonly<Record<string, ReadonlyArray<string>>> = {
  ".buildprint/setup/test-strategy.md": [
    "unit",
    "integration",
    "persistence",
    "provider-adapter",
    "worker/runtime",
    "security",
    "browser/e2e",
    "visual quality",
    "no-fake",
    "evidence-ledger"
  ],
  ".buildprint/setup/ui-identity.md": [
    "typography",
    "spacing",
    "colour",
    "responsive",
    "accessibility",
    "states",
    "Forbidden",
    "Screenshot critique"
  ]
}

export const setupFaults = (tree: Tree): ReadonlyArray<string> =>
  Object.entries(wanted).flatMap(([path, headings]) => {
    const text = textOf(tree, path)
    if (text === undefined) return [`${path} is missing`]
    const there = headingsIn(text)
    return [
      ...headings.filter((heading) => !there.some((one) => one.startsWith(heading)))
        .map((heading) => `${path} lacks "${heading}"`),
      ...(said[path] ?? []).filter((word) => !text.includes(word)).map((word) => `${path} does not speak of "${word}"`)
    ]
  })
