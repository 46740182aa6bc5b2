import { contract } from "./contract.ts"
import { retentionContract } from "./retention-contract.ts"
import { layerFresh } from "./sqlFixture.ts"

contract("SQLite", layerFresh)
retentionContract("SQLite", layerFresh)
