/**
 * Who may import whom (docs/architecture.md, "Who may import whom"). Types count: a contract is a dependency even where
 * nothing of it runs. A folder of `src` that no rule below knows is refused, so that a new one needs a decision.
 */
const capabilities = ["provider", "context", "journal", "telemetry"]

/** The files that the outside of a capability may see: contracts, and what is shared as it is; no SQL module, no adapter. */
const contracts = [
  "turn/TurnRuntime",
  "provider/Provider",
  "provider/ProviderRegistry",
  "provider/Script",
  "provider/Alarms",
  "context/ContextBuilder",
  "journal/Journal",
  "journal/Database",
  "journal/EventLoop",
  "journal/Transcript",
  "journal/TranscriptReader",
  "journal/UsageReport",
  "journal/Verification",
  "telemetry/Prometheus"
]
const contractPattern = (folders) =>
  contracts.filter((path) => folders.includes(path.split("/")[0])).map((path) => `^src/${path}[.]ts$`)

/** A folder, and everything in `src` that it may import. */
const only = (folder, allowed, comment) => ({
  name: `${folder}-imports`,
  severity: "error",
  comment,
  from: { path: `^src/${folder}/` },
  to: { path: "^src/", pathNot: [`^src/${folder}/`, ...allowed] }
})

const edge = ["^src/domain/", "^src/config/", ...contractPattern(["turn", ...capabilities])]

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      comment: "A cycle has no order in which it can be read or built.",
      from: {},
      to: { circular: true }
    },
    {
      name: "src-not-to-test",
      severity: "error",
      comment: "What ships must not need what tests it.",
      from: { path: "^src/" },
      to: { path: "^(test|bench|examples|[.]ci)/" }
    },
    {
      name: "known-folders",
      severity: "error",
      comment: "A new folder of src needs a rule in this file.",
      from: {},
      to: {
        path: "^src/",
        pathNot: [
          "^src/(domain|provider|context|turn|journal|telemetry|http|cli|client|workbench|config)/",
          "^src/(layers|main|index)[.]ts$"
        ]
      }
    },
    {
      name: "domain-is-pure",
      severity: "error",
      comment: "domain: effect only, no I/O, no layers, no clock.",
      from: { path: "^src/domain/" },
      to: { pathNot: ["^src/domain/", "^node_modules/effect/"] }
    },
    {
      name: "domain-no-runtime-services",
      severity: "error",
      comment: "domain is values and functions: no Layer, no Clock, no Random, no platform.",
      from: { path: "^src/domain/" },
      to: { path: "^node_modules/effect/.*/(Layer|Clock|Random|DateTime|ConfigProvider|ManagedRuntime)[.]" }
    },
    {
      name: "the-page-needs-no-runtime",
      severity: "error",
      comment: "A browser loads these as they are: they may import types and nothing that runs.",
      from: { path: "^src/domain/(TurnState|UsageSum)[.]ts$" },
      to: { dependencyTypesNot: ["type-only"] }
    },
    {
      name: "the-fold-declares-nothing-of-effect",
      severity: "error",
      comment: "What the fold and the client export is declared by plain types: their users may have no effect at all.",
      from: { path: "^src/domain/(Protocol|TurnState|UsageSum)[.]ts$" },
      to: { pathNot: "^src/domain/(Protocol|TurnState|UsageSum)[.]ts$" }
    },
    {
      name: "the-client-stands-alone",
      severity: "error",
      comment:
        "client: itself, the plain types and the fold; no package and nothing of Node, so that any page loads it.",
      from: { path: "^src/client/" },
      to: { pathNot: ["^src/client/", "^src/domain/(Protocol|TurnState)[.]ts$"] }
    },
    {
      name: "the-page-loads-no-engine",
      severity: "error",
      comment: "workbench: the client, the fold, the sums and three packages; all else is its own.",
      from: { path: "^src/workbench/" },
      to: {
        pathNot: [
          "^src/(workbench|client)/",
          "^src/domain/(TurnState|UsageSum)[.]ts$",
          "^node_modules/(preact|@preact/signals|marked)/"
        ],
        dependencyTypesNot: ["type-only"]
      }
    },
    only("config", ["^src/domain/"], "config: domain at most; everything else may read it."),
    ...capabilities.map((folder) =>
      only(folder, ["^src/domain/", "^src/config/"], `${folder}: domain, config and its own folder.`)
    ),
    only(
      "turn",
      ["^src/domain/", ...contractPattern(capabilities)],
      "turn: domain and the contracts of provider, context, journal and telemetry."
    ),
    only("workbench", ["^src/client/", "^src/domain/"], "workbench: the client and domain."),
    ...["http", "cli"].map((folder) =>
      only(folder, edge, `${folder}: domain, config and contracts; never a SQL module, never an adapter.`)
    ),
    {
      name: "only-layers-composes",
      severity: "error",
      comment: "layers.ts is the one file that may import every capability; only main, index and nobody else use it.",
      from: { path: "^src/", pathNot: "^src/(main|index|layers)[.]ts$" },
      to: { path: "^src/(main|index|layers)[.]ts$" }
    },
    {
      name: "main-imports",
      severity: "error",
      comment: "main: cli, http, layers, the settings it starts from, and the log, which begins before them.",
      from: { path: "^src/main[.]ts$" },
      to: {
        path: "^src/",
        pathNot: ["^src/(cli|http|config)/", "^src/telemetry/Log[.]ts$", "^src/layers[.]ts$"]
      }
    },
    {
      name: "no-barrels",
      severity: "error",
      comment: "A barrel loads everything to use one thing: half a second of start-up each. Import by subpath.",
      from: { path: "^src/" },
      to: {
        path: [
          "^node_modules/effect/(dist/(esm|cjs|dts)|src)/index[.]",
          "^node_modules/@effect/[^/]+/(dist/(esm|cjs|dts)|src)/index[.]"
        ]
      }
    },
    {
      name: "no-other-schema",
      severity: "error",
      comment: "Schema is effect/Schema; the retired package brings a second copy that does not mix with it.",
      from: {},
      to: { path: "^(node_modules/)?@effect/schema" }
    },
    {
      name: "not-to-unresolvable",
      severity: "error",
      comment: "An import that resolves to nothing breaks at run time. The package itself resolves once it is built.",
      from: {},
      to: { couldNotResolve: true, pathNot: "^turnstream(/|$)" }
    },
    {
      name: "src-not-to-dev-dependency",
      severity: "error",
      comment: "A development dependency is not there where the package is installed; the page is bundled before that.",
      from: { path: "^src/", pathNot: "^src/workbench/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["npm", "type-only"] }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json"]
    }
  }
}
