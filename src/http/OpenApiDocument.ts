/**
 * The OpenAPI document: what `Api.ts` says, with the event schemas, and with every error answer as a problem. Made once,
 * when it is first asked for.
 */
import * as OpenApi from "@effect/platform/OpenApi"
import { Api } from "./Api.ts"
import { version } from "./Version.ts"

const problem = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } } as const

/** Answers that any operation may give. */
const anywhere: Readonly<Record<number, string>> = {
  400: "Malformed",
  401: "A token is needed",
  403: "Foreign origin",
  405: "Another method is needed",
  421: "Foreign host",
  500: "A fault of the service",
  503: "Storage refuses or the service is shutting down"
}

const ofBodies: Readonly<Record<number, string>> = { 413: "The body is too large", 415: "The body is not JSON" }

const described: Readonly<Record<number, string>> = {
  ...anywhere,
  ...ofBodies,
  404: "Not found",
  409: "In conflict with another turn",
  422: "Refused: the turn's error and its id, or another body under a known Idempotency-Key",
  429: "A limit is reached; see Retry-After"
}

/** Operations whose answer is a stream of events where `Accept` names it. */
const streaming = new Set(["turns.start", "turns.events", "sessions.events"])

/** The operation whose 503 is its answer. */
const readiness = "operations.ready"

const eventStream = {
  description: "Server-sent events: id, event (the type) and data (the envelope, a TurnEvent)",
  content: { "text/event-stream": { schema: { type: "string" } } }
}

export interface Response {
  readonly description: string
  readonly content?: Readonly<Record<string, object>>
}

const operationOf = ({ security: _, ...operation }: OpenApi.OpenAPISpecOperation) => {
  const responses: Record<string, Response> = {}
  for (const [status, answer] of Object.entries(operation.responses)) {
    if (Number(status) < 400) responses[status] = answer
  }
  // a status of its own makes the schema a copy; the name is told again
  for (const [status, name] of [[201, "Session"], [202, "Turn"]] as const) {
    const answer = responses[status]
    if (answer !== undefined) {
      const schema = { $ref: `#/components/schemas/${name}` }
      responses[status] = { ...answer, content: { "application/json": { schema } } }
    }
  }
  if (streaming.has(operation.operationId)) {
    const content = { ...responses[200]?.content, ...eventStream.content }
    responses[200] = { description: eventStream.description, content }
  }
  const statuses = new Set([
    ...Object.keys(operation.responses).map(Number).filter((status) => status >= 400),
    ...Object.keys(anywhere).map(Number),
    ...(operation.requestBody === undefined ? [] : Object.keys(ofBodies).map(Number))
  ])
  for (const status of [...statuses].sort((a, b) => a - b)) {
    const own = operation.responses[status]
    if (operation.operationId === readiness && status === 503 && own !== undefined) {
      responses[status] = own
      continue
    }
    responses[status] = { description: described[status] ?? "Refused", content: problem }
  }
  return { ...operation, responses }
}

export type Operation = ReturnType<typeof operationOf>

const build = () => {
  const spec = OpenApi.fromApi(Api)
  const paths: Record<string, Record<string, Operation>> = {}
  for (const [path, item] of Object.entries(spec.paths)) {
    const operations: Record<string, Operation> = {}
    for (const [method, operation] of Object.entries(item)) operations[method] = operationOf(operation)
    paths[path] = operations
  }
  const { HttpApiDecodeError: _, Issue: __, PropertyKey: ___, ...schemas } = spec.components.schemas
  return {
    ...spec,
    info: { ...spec.info, version },
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: "http", scheme: "bearer" } }
    },
    // an empty requirement first: without TURNSTREAM_TOKEN none is asked for
    security: [{}, { token: [] }]
  }
}

let cached: ReturnType<typeof build> | undefined

export const document = () => cached ??= build()

export type OpenApiDocument = ReturnType<typeof document>
