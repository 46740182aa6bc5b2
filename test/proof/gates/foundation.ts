/** Phase 01: the ground that turns stand on. */
import type { Phase } from "../ledger/Phase.ts"
import { audit, before } from "./documents.ts"

const cited = (file: string, title: string) => ({ file, title })

const bySqlite = "SQLite: turns"
const migrations = "test/journal/database-migrations.test.ts"
const settings = "test/config/settings-loader.test.ts"
const readback = "test/proof/trace/readback.test.ts"
const restarted =
  "what is written is read back > after a clean stop and a restart everything reads the same, and the bootstrap tells of the same schema and the next epoch"

export const foundation: Phase = {
  id: "01-contracts-storage",
  proofId: "proof-01-contracts-storage",
  audit,
  documents: before(["product-architect", "data-persistence", "test-and-verification"]),
  gates: [
    {
      id: "01-scope",
      type: "scope",
      claim: "The setup documents stand before code, with what each must hold",
      proofType: "seed_scope",
      providerMode: "none",
      upgrades: false,
      artifacts: [],
      run: {
        _tag: "Tests",
        paths: ["test/proof/gates/setup.test.ts"],
        cited: [cited("test/proof/gates/setup.test.ts", "what stands before code > is there, with what each must hold")]
      }
    },
    {
      id: "01-contracts",
      type: "check_run",
      claim: "The contracts compile, and nothing imports what it may not",
      proofType: "unit_or_integration_test",
      providerMode: "none",
      upgrades: true,
      artifacts: [],
      run: { _tag: "Command", line: "npm run check -- types imports", cited: [] }
    },
    {
      id: "01-domain",
      type: "test_run",
      claim: "A turn's events fold to its state in one way, and every illegal journal is refused",
      proofType: "unit_or_integration_test",
      providerMode: "none",
      upgrades: true,
      artifacts: [],
      run: {
        _tag: "Tests",
        paths: ["test/domain"],
        cited: [
          cited(
            "test/domain/turn-state.test.ts",
            "the fold of a turn > accepts every legal journal and knows its text, its attempts and its end"
          ),
          cited(
            "test/domain/turn-state.test.ts",
            "the fold of a turn > P2, P3: refuses a gap, a repeat, another turn, a second start, a missing start and anything after the end"
          ),
          cited(
            "test/domain/turn-event.test.ts",
            "an event's bytes > hold the whole event: what is decoded is what was encoded"
          )
        ]
      }
    },
    {
      id: "01-configuration",
      type: "test_run",
      claim: "Every setting is documented with its default, and every fault in a configuration is refused at its path",
      proofType: "unit_or_integration_test",
      providerMode: "none",
      upgrades: true,
      artifacts: [],
      run: {
        _tag: "Tests",
        paths: [settings, "test/config/documented.test.ts"],
        cited: [
          cited(settings, "settings > with no file and no variable every setting has its documented default"),
          cited(
            settings,
            "unknown keys > no key beyond the documented ones is accepted anywhere, and the error says where"
          ),
          cited(settings, "settings > an unknown default provider is refused at defaults.provider"),
          cited(settings, "settings > a host with a scheme is refused at hosts[0]"),
          cited(
            "test/config/documented.test.ts",
            "docs/configuration.md > lists every setting of the file and every variable once, and nothing else"
          )
        ]
      }
    },
    {
      id: "01-repositories",
      type: "test_run",
      claim:
        "One contract holds for the journal in memory and on SQLite, and each migration carries the rows of the version before",
      proofType: "unit_or_integration_test",
      providerMode: "none",
      upgrades: true,
      artifacts: [],
      run: {
        _tag: "Tests",
        paths: [
          "test/journal/journal-sql.test.ts",
          "test/journal/journal-memory.test.ts",
          "test/journal/journal-crash.test.ts",
          migrations,
          "test/storage/golden.test.ts"
        ],
        cited: [
          cited(
            "test/journal/journal-sql.test.ts",
            `${bySqlite} > P2, P3: a gap, a foreign turn, a second start and an event after the end are refused, typed, and change nothing`
          ),
          cited(
            "test/journal/journal-memory.test.ts",
            "memory: turns > P2, P3: a gap, a foreign turn, a second start and an event after the end are refused, typed, and change nothing"
          ),
          cited(migrations, "migrations > P30: the rows of the version before are carried over, each migration once"),
          cited(
            "test/storage/golden.test.ts",
            "golden databases > P30: a database of schema v6 opens, and everything in it reads as it did"
          ),
          cited(
            migrations,
            "migrations > P31: a private copy of the version before is kept, replacing an older one, and opens as that version"
          )
        ]
      }
    },
    {
      id: "01-bootstrap",
      type: "trace",
      claim: "A fresh process tells its providers with their readiness, its defaults, limits and storage",
      proofType: "unit_or_integration_test",
      providerMode: "none",
      upgrades: true,
      artifacts: ["bootstrap.json"],
      run: {
        _tag: "Tests",
        paths: ["test/http/operations.test.ts", readback],
        cited: [
          cited(
            "test/http/operations.test.ts",
            "bootstrap and providers > tell providers with readiness, defaults, limits, storage and version"
          ),
          cited(readback, restarted)
        ]
      }
    },
    {
      id: "01-restart-readback",
      type: "trace",
      claim:
        "Session, turn, events, checkpoints, messages and usage read the same after the process was stopped and started again",
      proofType: "persistence_roundtrip",
      providerMode: "deterministic",
      upgrades: true,
      artifacts: ["readback-restart.json"],
      run: {
        _tag: "Tests",
        paths: [readback, "test/journal/database.test.ts"],
        cited: [
          cited(readback, restarted),
          cited(
            "test/journal/database.test.ts",
            "opening a database > a clean close leaves one file that holds everything"
          )
        ]
      }
    }
  ],
  names: [
    {
      name: "unit_or_integration_test",
      weight: "core",
      gates: ["01-contracts", "01-domain", "01-configuration", "01-repositories", "01-bootstrap"]
    },
    { name: "persistence_roundtrip_or_blocker", weight: "core", gates: ["01-restart-readback"] },
    { name: "seed_scope", weight: "scope", gates: ["01-scope"] },
    { name: "evidence_ledger_entry", weight: "ledger", gates: [] }
  ],
  limits: [
    "Turns that run, HTTP under attack and the page: they are phase 02.",
    "Postgres: the contract is kept by SQLite and in memory alone.",
    "Loss of power: the syncs are counted in `test/storage/power.test.ts`; no machine was switched off."
  ]
}
