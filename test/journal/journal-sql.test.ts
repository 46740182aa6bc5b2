import { contract } from "./contract.ts"
import { layerFresh } from "./sqlFixture.ts"

contract("SQLite", layerFresh)
