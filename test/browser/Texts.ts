/** What the deterministic provider says in the states of the page: every kind of block, and what is hard to lay out. */

export const question = "How does a turn survive a crash?"

export const answer = `## A turn, step by step

A turn is *one message and its answer*. Each **event** is committed before anyone sees it:

1. \`turn.started\` is written when the turn is accepted.
2. The context is built, and its manifest kept.
3. Deltas are written in batches; a reader sees a batch when it is committed.

- A reader that leaves changes nothing.
- A reader that comes back asks for what follows the last seq it saw.
  - The answer is the same bytes.

\`\`\`ts
const events = await journal.readAfter(turnId, { after: 41, limit: 200 })
for (const event of events) state = TurnState.apply(state, event)
\`\`\`

| phase         | what is kept            | after a crash |
| ------------- | ----------------------- | ------------- |
| calling-model | the attempt             | Interrupted   |
| streaming     | every committed delta   | Interrupted   |
| committing    | usage and a checkpoint  | Completed     |

> Nothing is published before it is stored.

More is in the [protocol](https://example.org/protocol).
`

export const reasoning =
  "The reader asks about durability. Name the events in their order, then say what a restart does."

const word = "incomprehensibilities".repeat(10).slice(0, 200)

/** A word that no line can hold. */
export const longWord = {
  message: `What does ${word} mean?`,
  answer: `It means **${word}**, or \`${word}\`.\n\n- ${word}\n`
}

const columns = Array.from({ length: 14 }, (_, i) => `column number ${i + 1}`)
const row = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |\n`

/** A table and code that are wider than any screen. */
export const wide = `A wide table:

${row(columns)}${row(columns.map(() => "---"))}${
  Array.from({ length: 6 }, (_, i) => row(columns.map((name) => `${name}, row ${i + 1}`))).join("")
}
and a line of code:

\`\`\`sh
curl --silent --no-buffer ${Array.from({ length: 12 }, (_, i) => `--header "x-header-${i}: value-${i}"`).join(" ")}
\`\`\`
`
