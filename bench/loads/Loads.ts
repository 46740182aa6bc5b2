/** All loads, in the order of the report. */
import { cancel, idle, kill } from "./Lives.ts"
import type { Load } from "./Load.ts"
import { burst, crowd, paced, single } from "./Streams.ts"
import { history, turns } from "./Turns.ts"

export const loads: ReadonlyArray<Load> = [burst, paced, crowd, single, turns, history, idle, kill, cancel]

/** Those that the gate runs: of these only processor time counts, which a busy machine moves least. */
export const gated: ReadonlyArray<Load> = [burst, paced, single, turns]
