// Kills the service and checks what is left: npm run torture -- [--cycles 1000] [--seed 1]
// Prints its figures after every 20 cycles; exits 1 on a violation, with the seed and the database of the era that has it.
import { run } from "./torture.ts"

const numberOf = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(name)
  if (at === -1) return fallback
  const value = Number(process.argv[at + 1])
  if (Number.isSafeInteger(value) && value > 0) return value
  console.error(`${name} needs a whole number from 1.`)
  process.exit(2)
}

const { failed, figures, violations } = await run({
  cycles: numberOf("--cycles", 1_000),
  seed: numberOf("--seed", 1),
  progress: console.log
})
for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(20)}${value}`)
// a fault of the journal shows in hundreds of events
for (const violation of violations.slice(0, 20)) console.error(JSON.stringify(violation))
if (failed !== undefined) {
  console.error(`Failed in cycle ${failed.cycle} of: npm run torture -- --cycles 20 --seed ${failed.seed}`)
  console.error(`Its database is kept in ${failed.dataDir}`)
}
process.exit(failed === undefined ? 0 : 1)
