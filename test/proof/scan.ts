/**
 * `npm run scan`: what the scan for fakes finds in the source; `-- --core` also the tests that pass with the engine's core
 * replaced, which takes a minute. `--out <file>` keeps it as JSON. Ends with 1 where something is found.
 */
import { parseArgs } from "node:util"
import { root } from "./root.ts"
import { scan } from "./scan/command.ts"

const { values } = parseArgs({ options: { core: { type: "boolean", default: false }, out: { type: "string" } } })

process.exitCode = scan(root, { core: values.core, out: values.out })
