/**
 * `npm run scan`: what the scan for fakes finds in the source; `-- --core` also the tests that pass with the engine's core
 * replaced, which takes a minute. Ends with 1 where something is found.
 */
import { parseArgs } from "node:util"
import { root } from "./root.ts"
import { scan } from "./scan/command.ts"

const { values } = parseArgs({ options: { core: { type: "boolean", default: false } } })

process.exitCode = scan(root, values)
