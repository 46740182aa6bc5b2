/** Phase 02: the engine that streams, and the page that ships with it. */
import * as Catalogue from "../../../src/config/Catalogue.ts"
import type { Gate, Phase } from "../ledger/Phase.ts"
import { audit, before } from "./documents.ts"
import { foundation } from "./foundation.ts"

const cited = (file: string, title: string) => ({ file, title })

const order = "test/turn/order.test.ts"
const registry = "test/provider/RegistryConfig.test.ts"
const commands = "test/turn/commands.test.ts"
const failures = "test/turn/failures.test.ts"
const serve = "test/process/serve.test.ts"
const guard = "test/http/guard.test.ts"
const settings = "test/config/settings-loader.test.ts"
const planted = "test/proof/scan/planted.test.ts"

const killed =
  "serve > P5, P6: after kill -9 in mid-turn, what a client saw is a prefix of what is kept, and the turn is closed before the service is ready"

/** States of the page that the repository keeps a picture of; the tests look at all of them. */
const pictured = [
  "empty",
  "queued",
  "streaming",
  "retrying",
  "blocked",
  "failed",
  "interrupted",
  "cancelled",
  "completed",
  "offline"
]

const unblocking = Catalogue.entries.filter(({ env, family }) => family !== "deterministic" && env.length > 0)
  .map(({ env, id }) => `${env.join(" and ")} (${id})`).join(", ")

const blocked: Gate = {
  id: "02-live-provider",
  type: "blocker",
  claim: "Live providers are not proved: no vendor was called",
  proofType: "blocker",
  providerMode: "blocked",
  upgrades: false,
  artifacts: [],
  run: {
    _tag: "Blocked",
    why:
      `no vendor is called from this repository. To unblock: network.live in the configuration file and the variables of one provider: ${unblocking}; then turnstream doctor --probe <provider>`
  }
}

const gates: ReadonlyArray<Gate> = [
  {
    id: "02-types",
    type: "check_run",
    claim: "Everything compiles under the strictest settings and Effect's diagnostics find nothing",
    proofType: "unit_or_integration_test",
    providerMode: "none",
    upgrades: true,
    artifacts: [],
    run: { _tag: "Command", line: "npm run check -- types effect", cited: [] }
  },
  {
    id: "02-registry",
    type: "test_run",
    claim: "An unknown provider or model fails with the known ones and the nearest, is journaled, and never falls back",
    proofType: "unit_or_integration_test",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: [registry, order, "test/http/turns.test.ts"],
      cited: [
        cited(
          registry,
          "unknown ids > an unknown provider is an error with the known ids and the nearest, never a fallback"
        ),
        cited(
          registry,
          "unknown ids > an unknown model of a closed list is an error with the list and the nearest"
        ),
        cited(
          order,
          "turns refused before a provider is called > an unknown provider leaves exactly turn.started and turn.failed, with the known ids"
        ),
        cited(
          "test/http/turns.test.ts",
          "submitting > an unknown provider answers 422 with its facts and the turn that records it, whatever Accept says"
        )
      ]
    }
  },
  {
    id: "02-stream-order",
    type: "test_run",
    claim:
      "A deterministic turn has its events in their order: turn.started, deltas before completion, telemetry, the end",
    proofType: "unit_or_integration_test",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: [order],
      cited: [
        cited(order, "the order of a turn > a plain turn has the events of the protocol in their order"),
        cited(order, "the order of a turn > deltas are readable before the turn completes"),
        cited(
          order,
          "the order of a turn > what its journal holds when its provider is called begins with turn.started and the attempt (P4)"
        ),
        cited(
          order,
          "TurnRuntime.stream > fails with the same typed error that the journal holds, after its terminal event"
        )
      ]
    }
  },
  {
    id: "02-stream-trace",
    type: "trace",
    claim:
      "A real process streams a turn to a client while it runs, event by event to its end, and an unknown provider's two events",
    proofType: "runtime_trace",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: ["stream-transcript.txt"],
    run: {
      _tag: "Tests",
      paths: ["test/proof/trace/stream.test.ts"],
      cited: [
        cited(
          "test/proof/trace/stream.test.ts",
          "the stream of a turn, from a real process > turn.started first, deltas before the end, usage and a checkpoint, turn.completed last; and the unknown provider's two events"
        )
      ]
    }
  },
  {
    id: "02-http-trace",
    type: "trace",
    claim: "A real process answers HTTP with the documented status and body, and denies with a structured 4xx",
    proofType: "http_api_trace",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: ["http-trace.json"],
    run: {
      _tag: "Tests",
      paths: ["test/proof/trace/http.test.ts"],
      cited: [
        cited(
          "test/proof/trace/http.test.ts",
          "HTTP, from a real process > a session, a turn, its stream and its end are answered as documented, and what is denied is a structured 4xx"
        )
      ]
    }
  },
  {
    id: "02-persistence",
    type: "trace",
    claim:
      "After kill -9 and a restart everything committed reads the same, and the turn that was cut is closed with a checkpoint and all that a client saw",
    proofType: "persistence_roundtrip",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: ["readback-kill-9.json"],
    run: {
      _tag: "Tests",
      paths: ["test/proof/trace/readback.test.ts"],
      cited: [
        cited(
          "test/proof/trace/readback.test.ts",
          "what is written is read back > after kill -9 and a restart an ended turn reads the same, and the turn that was cut is closed with all that a client saw"
        )
      ]
    }
  },
  {
    id: "02-retry-cancel-recovery",
    type: "test_run",
    claim:
      "Retries, cancels and recovery after kill -9 end every turn once, repeat no text and lose none that was seen",
    proofType: "unit_or_integration_test",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: [failures, commands, "test/turn/faults.test.ts", "test/turn/recovery.test.ts", serve],
      cited: [
        cited(failures, "retry > waits 250 ms, then 500 ms, each with at most 20 % jitter, then answers"),
        cited(
          commands,
          "cancel > in mid-stream keeps what was said: usage, checkpoint, partial message, turn.failed in one go"
        ),
        cited(commands, "cancel > in backoff ends at once, without another attempt"),
        cited(
          commands,
          "resume and retry > resume continues after the partial, wherever it was cut: the joined text is the whole text (P8)"
        ),
        cited(
          "test/turn/recovery.test.ts",
          "P6: after a crash every orphan is closed before the engine is ready > as Interrupted{crash}, with usage, a checkpoint and the partial message; queued turns too"
        ),
        cited(serve, killed)
      ]
    }
  },
  {
    id: "02-adapter-configuration",
    type: "test_run",
    claim:
      "Providers are configured by family, address and names of variables; what is missing blocks one and is named",
    proofType: "unit_or_integration_test",
    providerMode: "none",
    upgrades: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: [registry, "test/provider/Catalogue.test.ts", settings],
      cited: [
        cited(
          registry,
          "readiness > with the network off that is the first reason, and a missing variable is named too"
        ),
        cited(registry, "readiness > P25: variables are named, their values appear nowhere"),
        cited(
          "test/provider/Catalogue.test.ts",
          "the catalogue > gives a provider that is configured by its id alone all that it knows"
        ),
        cited(settings, "settings > an unknown default provider is answered with the known ids")
      ]
    }
  },
  {
    id: "02-adapter-wiring",
    type: "test_run",
    claim: "The wired adapters stream, retry, cancel and fail against servers of ours that speak the vendors' formats",
    proofType: "unit_or_integration_test",
    providerMode: "mock",
    upgrades: false,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: ["test/provider/service.test.ts", "test/provider/live-families.test.ts"],
      cited: [
        cited(
          "test/provider/service.test.ts",
          "any family > GET /v1/providers tells ready from unproven from blocked, and makes no call"
        ),
        cited(
          "test/provider/service.test.ts",
          "any family > a missing variable blocks the provider, is named, and nobody is called"
        )
      ]
    }
  },
  {
    id: "02-denied-paths",
    type: "test_run",
    claim:
      "Foreign hosts and origins, missing tokens, hostile requests and chosen upstreams are refused; no secret leaves, no connection leaves the machine",
    proofType: "security_boundary_review",
    providerMode: "none",
    upgrades: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: [
        guard,
        "test/http/hostile.test.ts",
        "test/http/smuggling.test.ts",
        "test/http/body.test.ts",
        "test/process/secrets.test.ts",
        "test/config/egress-guard.test.ts",
        "test/provider/Egress.test.ts",
        "test/proof/trace/http.test.ts"
      ],
      cited: [
        cited(
          guard,
          "P29: foreign hosts and origins > our own origin passes, a cross-site request without one does not"
        ),
        cited(
          guard,
          "the token > is needed everywhere but on page assets and health; one header, compared whole"
        ),
        cited(
          "test/http/hostile.test.ts",
          "P28: bad addresses > random paths, bodies and headers are never a 5xx and never hang"
        ),
        cited(
          "test/http/smuggling.test.ts",
          "P28: requests that two parsers would read differently > a chunk size that overflows: one 4xx, and nothing of it is carried out"
        ),
        cited(
          "test/http/smuggling.test.ts",
          "P27: a caller cannot choose the upstream > a provider that is an address is an unknown one, and nothing is called"
        ),
        cited(
          "test/provider/Egress.test.ts",
          "P26: where an address lies > any address of IPv4 is where the registry puts it, however it is written"
        ),
        cited(
          "test/process/secrets.test.ts",
          "P25: no secret leaves > P25: a canary in tokens, keys, headers and addresses is in no answer, log line, file, metric or process title"
        ),
        cited(
          "test/process/secrets.test.ts",
          "P25: no secret leaves > P25: settings that are refused are named without their values"
        ),
        cited(
          "test/config/egress-guard.test.ts",
          "egress guard > P26: no process that a test starts leaves this machine, and an attempt is marked though its error is swallowed"
        ),
        cited(
          "test/proof/trace/http.test.ts",
          "HTTP, from a real process > with a token nothing but health is answered without it, and a wrong one is refused"
        )
      ]
    }
  },
  {
    id: "02-no-fake",
    type: "scan",
    claim: "No placeholder, stub, skipped or hollow test, written-down result or control without behaviour is found",
    proofType: "no_fake_scan_pass",
    providerMode: "deterministic",
    upgrades: true,
    artifacts: ["scan.json"],
    run: {
      _tag: "Command",
      line: "npm run scan -- --core",
      cited: [
        cited(planted, "the scan for fakes > finds a test that calls and asserts nothing, and not its twin"),
        cited(
          planted,
          "the scan for fakes > finds a port that answers the same whatever it is asked, unless it says why"
        ),
        cited(
          "test/proof/core/claims.test.ts",
          "which tests claim the core > one that claims it, reached it and passes without it is hollow; who fails, or never reached it, is not"
        )
      ]
    }
  },
  {
    id: "02-browser-e2e",
    type: "test_run",
    claim:
      "In a browser on a real server a turn is sent, streamed, reloaded, cut, killed, resumed, retried and cancelled, also by keys alone",
    proofType: "browser_trace",
    providerMode: "deterministic",
    upgrades: true,
    needsBrowser: true,
    artifacts: [],
    run: {
      _tag: "Tests",
      paths: ["send", "reload", "crash", "retry", "cancel", "blocked", "keyboard"].map((name) =>
        `test/browser/${name}.test.ts`
      ),
      cited: [
        cited(
          "test/browser/send.test.ts",
          "sending a message > P1: Ctrl+Enter sends, the first delta is seen before there is an end, and a reload keeps all of the answer"
        ),
        cited(
          "test/browser/reload.test.ts",
          "a page in mid-stream > P15: cut off at chance points, it goes on from there, and ends with all of the answer"
        ),
        cited(
          "test/browser/reload.test.ts",
          "a page in mid-stream > what came while it was cut off is replayed, and the page says how many events that were"
        ),
        cited(
          "test/browser/crash.test.ts",
          "a server that dies > P5, P6, P8: killed in mid-stream and started again: Reconnecting, Interrupted, and Resume says the rest"
        ),
        cited(
          "test/browser/keyboard.test.ts",
          "the page by keys alone > a message is written, a provider and a model chosen, sent, cancelled, tried again and cancelled again"
        )
      ]
    }
  },
  {
    id: "02-visual",
    type: "pictures",
    claim:
      "Ten states of the page are drawn at 360, 768 and 1280 px in light and dark, and a sheet of each keeps three of the six; in every width and theme nothing of them overflows, and axe-core finds nothing",
    proofType: "browser_trace",
    providerMode: "deterministic",
    upgrades: true,
    needsBrowser: true,
    artifacts: pictured.map((state) => `screenshots/${state}.png`),
    run: {
      _tag: "Command",
      line: `npm run screenshots -- ${pictured.map((state) => `--only ${state}`).join(" ")}`,
      cited: [
        ...pictured.map((state) =>
          cited(
            "test/browser/accessibility.test.ts",
            `accessibility of the page > ${state}: axe-core finds nothing, nothing overflows and every target can be touched, in each width and theme`
          )
        ),
        cited(
          "test/browser/adapt.test.ts",
          "the page for who needs it otherwise > at 200 % nothing sticks out, and every control can be brought into view and pressed"
        )
      ]
    }
  },
  blocked
]

export const streaming: Phase = {
  id: "02-provider-streaming-runtime",
  proofId: "proof-02-provider-streaming-runtime",
  standsOn: foundation,
  audit,
  documents: before([
    "product-architect",
    "integration-runtime",
    "data-persistence",
    "test-and-verification",
    "ux-ui-craft",
    "security-boundary"
  ]),
  gates,
  names: [
    { name: "unit_or_integration_test", weight: "core", gates: ["02-types", "02-registry", "02-stream-order"] },
    {
      name: "runtime_or_browser_trace_or_blocker",
      weight: "core",
      gates: ["02-stream-trace", "02-http-trace"]
    },
    { name: "persistence_roundtrip_or_blocker", weight: "core", gates: ["02-persistence"] },
    { name: "security_boundary_review_or_blocker", weight: "core", gates: ["02-denied-paths"] },
    { name: "no_fake_scan_pass", weight: "core", gates: ["02-no-fake"] },
    { name: "evidence_ledger_entry", weight: "ledger", gates: [] },
    { name: "provider_adapter_config_test_required", weight: "production", gates: ["02-adapter-configuration"] },
    { name: "worker_retry_cancel_recovery", weight: "production", gates: ["02-retry-cancel-recovery"] },
    { name: "repeatable_browser_e2e", weight: "production", gates: ["02-browser-e2e"] },
    { name: "visual_quality_gate", weight: "production", gates: ["02-visual"] },
    { name: "live_provider_proof_blocker_only", weight: "blocker", gates: ["02-live-provider"] }
  ],
  limits: [
    "Vendors: no live call was made; the adapters are proved on loopback servers and recordings (row 02-adapter-wiring, which upgrades nothing).",
    "Tools, skills, MCP, memory and team content, and the final workbench: they are later phases.",
    "Rates of failure: the long runs (`npm run torture`, `simulate`, `races`) have their figures in `docs/reliability.md` and are no gate here.",
    "Other browsers than Chromium, and assistive technology itself: axe-core and keys are not a person with a screen reader."
  ]
}
