import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { contract } from "./contract.ts"
import { retentionContract } from "./retention-contract.ts"

contract("memory", JournalMemory.layer)
retentionContract("memory", JournalMemory.layer)
