/** All loads, in the order in which they run. */
import { cancel, idle, kill } from "./Lives.ts"
import type { Load } from "./Load.ts"
import { burst, crowd, paced, single } from "./Streams.ts"
import { history, turns } from "./Turns.ts"

export const loads: ReadonlyArray<Load> = [idle, turns, single, burst, paced, crowd, history, cancel, kill]

/** Those that the gate runs: of these only processor time counts, which a busy machine moves least. */
export const gated: ReadonlyArray<Load> = [turns, single, burst, paced]
