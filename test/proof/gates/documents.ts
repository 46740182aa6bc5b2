/** The documents of a phase and their headings, as the specification lists them by role. */
import type { Document } from "../ledger/Phase.ts"

const handoffHeadings = [
  "Phase id",
  "Files to read",
  "Allowed edit scope",
  "Non-goals",
  "Success criteria",
  "Verification command",
  "Evidence rows expected",
  "Risks"
]

const repair = "Required repair before evidence"

const returnHeadings = {
  "product-architect": [
    "Verdict",
    "Product shape",
    "Topology and boundaries",
    "Dependency direction",
    "Product obligation preservation",
    "ADR-lite tradeoffs",
    "First vertical slice",
    "Future boundary",
    "Files/modules expected",
    repair
  ],
  "integration-runtime": [
    "Verdict",
    "API/provider boundaries",
    "Runtime ownership",
    "Config and provider modes",
    "Failure/retry/cancel behavior",
    "Streaming or progress behavior",
    "Side effects and approvals",
    "Live-proof blockers",
    repair
  ],
  "data-persistence": [
    "Verdict",
    "State/schema ownership",
    "Lifecycle semantics",
    "Migration/restart/readback proof",
    "Retention/export/delete/backup",
    "Runtime artifacts and generated outputs",
    "Sensitive data and upload limits",
    "Consistency and recovery risks",
    repair
  ],
  "test-and-verification": [
    "Verdict",
    "Phase state supported",
    "Commands run",
    "What passed",
    "Negative cases",
    "What this does not prove",
    "Evidence row check",
    "Claim limits",
    repair
  ],
  "security-boundary": [
    "Verdict",
    "Auth/session/tenant boundary",
    "Secret and data exposure review",
    "Destructive action review",
    "Upload/input boundary",
    "Denied-path and invalid-input tests",
    "Public deployment posture",
    "Evidence redaction",
    repair
  ],
  "ux-ui-craft": [
    "Verdict",
    "Primary user job",
    "Taste variables",
    "Screen composition",
    "Domain interaction model",
    "State matrix",
    "Visual quality bar",
    "Responsive/accessibility proof",
    "Screenshot or browser evidence",
    "Screenshot critique",
    repair
  ]
} as const

export type Role = keyof typeof returnHeadings

export const audit = "reviews/qa.md"

export const before = (roles: ReadonlyArray<Role>): ReadonlyArray<Document> => [
  { path: "plan.md", headings: [], hasVerdict: false },
  { path: "team-gates.md", headings: [], hasVerdict: false },
  ...roles.map((role) => ({ path: `handoffs/${role}.md`, headings: handoffHeadings, hasVerdict: false })),
  ...roles.map((role) => ({ path: `returns/${role}.md`, headings: returnHeadings[role], hasVerdict: true })),
  ...["reviews/architecture.md", audit, "reviews/ux.md"].map((path) => ({
    path,
    headings: ["Verdict"],
    hasVerdict: true
  }))
]
