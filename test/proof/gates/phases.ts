import type { Phase } from "../ledger/Phase.ts"
import { foundation } from "./foundation.ts"
import { streaming } from "./streaming.ts"

/** In the order in which they stand on each other. */
export const phases: ReadonlyArray<Phase> = [foundation, streaming]
