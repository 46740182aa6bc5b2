/**
 * What the parts of a delta's way cost, each alone in this process, in microseconds of processor time a delta:
 * `npm run bench:micro -- --help`. The quietest of some rounds after one that warms up. Exits with 1 where a part is over
 * what it may cost.
 */
import * as Fs from "node:fs"
import * as Arguments from "./kit/Arguments.ts"
import * as Table from "./kit/Table.ts"
import { appending } from "./micro/Appending.ts"
import { decoding } from "./micro/Decoding.ts"
import { folding } from "./micro/Folding.ts"
import { following } from "./micro/Following.ts"
import { runtime } from "./micro/Turns.ts"

const micros = [...decoding, ...appending, ...following, ...folding]
const parts = [...new Set(micros.map(({ part }) => part))]

const usage = `npm run bench:micro -- [options]

  --only=PART,...  of ${parts.join(", ")}
  --rounds=N       rounds of each, whose quietest counts (5)
  --json=FILE      writes the figures as JSON too
  --help           this`

const { json, only, rounds } = Arguments.orExit(usage, (args) => {
  const values = Arguments.parse(args, {
    only: { type: "string" },
    rounds: { type: "string" },
    json: { type: "string" }
  })
  return {
    only: Arguments.choice("only", values.only, parts),
    rounds: Arguments.count("rounds", values.rounds, 5),
    json: values.json
  }
})

const figures: Array<{ part: string; name: string; micros: number; atMost: number | undefined }> = []
for (const { atMost, name, once, part } of micros.filter(({ part }) => only.includes(part))) {
  await once()
  const costs: Array<number> = []
  while (costs.length < rounds) costs.push(await once())
  const micros = Math.min(...costs)
  if (atMost !== undefined && micros > atMost) process.exitCode = 1
  console.error(`${part}, ${name}: ${costs.map((cost) => cost.toFixed(2)).join(" ")}`)
  figures.push({ part, name, micros, atMost })
}
await runtime.dispose()

console.log(Table.render(
  [{ title: "part" }, { title: "what" }, { title: "µs a delta", align: "right" }, { title: "at most", align: "right" }],
  figures.map((
    { atMost, micros, name, part }
  ) => [part, name, micros.toFixed(2), atMost === undefined ? "" : `${atMost}`])
))
if (json !== undefined) Fs.writeFileSync(json, `${JSON.stringify(figures, null, 2)}\n`)
