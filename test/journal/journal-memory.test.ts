import * as JournalMemory from "../../src/journal/JournalMemory.ts"
import { contract } from "./contract.ts"

contract("memory", JournalMemory.layer)
