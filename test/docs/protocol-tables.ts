/**
 * The generated parts of docs/protocol.md, from the interface's own schemas: routes, events, errors and resources as
 * tables. What stands between `<!-- generated: name -->` and `<!-- end -->` is replaced, all else is written by hand.
 */
import { document } from "../../src/http/OpenApiDocument.ts"
import { statuses } from "../../src/http/Problem.ts"

/** As much of JSON Schema as the interface uses. */
interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: ReadonlyArray<unknown>
  readonly anyOf?: ReadonlyArray<JsonSchema>
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: ReadonlyArray<string>
  readonly additionalProperties?: boolean | JsonSchema
}

const spec = document()
const schemas: Readonly<Record<string, JsonSchema>> = JSON.parse(JSON.stringify(spec.components.schemas))

const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1)

/** A type in few words. Named ones are named, and have their own table. */
const typeOf = (schema: JsonSchema): string => {
  if (schema.$ref !== undefined) return nameOf(schema.$ref)
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(" or ")
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(", ")
  if (schema.type === "array") return `list of ${schema.items === undefined ? "anything" : typeOf(schema.items)}`
  if (schema.properties !== undefined) return `{${fieldsOf(schema).join("; ")}}`
  return schema.type === undefined ? "any JSON" : schema.type === "integer" ? "Int" : schema.type
}

/** `name?: type`, one a field. */
const fieldsOf = ({ properties = {}, required = [] }: JsonSchema): ReadonlyArray<string> =>
  Object.entries(properties).map(([name, schema]) => `${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`)

const cell = (text: string): string => text.replaceAll("|", "\\|")

const code = (text: string): string => text === "" ? "" : `\`${cell(text)}\``

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const schemaOf = (name: string): JsonSchema => {
  const schema = schemas[name]
  if (schema === undefined) throw new Error(`the interface has no schema ${name}`)
  return schema
}

/** What a body or an answer holds, by media type. */
const contentOf = (content: object | undefined): string =>
  Object.entries(content ?? {}).map(([type, media]: [string, { readonly schema?: JsonSchema }]) => {
    if (type !== "application/json" || media.schema === undefined) return type
    const { properties } = media.schema
    const item = properties?.["items"]?.items
    return item === undefined ? typeOf(media.schema) : `list of ${typeOf(item)}`
  }).join(" or ")

const routes = () =>
  Object.entries(spec.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => {
      const query = operation.parameters.filter((parameter) => parameter.in === "query").map(({ name }) => name)
      const answers = Object.entries(operation.responses).filter(([status]) => Number(status) < 400)
      return [
        code(`${method.toUpperCase()} ${path}`),
        code(query.length === 0 ? "" : `?${query.join(" ")}`),
        cell(contentOf(operation.requestBody?.content)),
        cell(answers.map(([status, answer]) => `${status} ${contentOf(answer.content)}`.trim()).join(", ")),
        // what stands for a part of an id is no markup
        cell(operation.summary ?? "").replaceAll("<", "&lt;")
      ]
    })
  )

const events = () =>
  Object.entries(schemas).filter(([name]) => name.startsWith("Event_")).map(([, { properties = {} }]) => {
    const { data = {}, type = {} } = properties
    const named = data.$ref === undefined ? fieldsOf(data).map(code).join("<br>") : nameOf(data.$ref)
    return [code(String(type.enum?.[0])), named]
  })

const turnErrors = () =>
  (schemaOf("TurnError").anyOf ?? []).map(({ $ref = "" }) => {
    const { properties = {}, ...schema } = schemaOf(nameOf($ref))
    const { _tag = {}, message: _, retryable: __, ...facts } = properties
    return [
      code(String(_tag.enum?.[0])),
      fieldsOf({ ...schema, properties: facts }).map(code).join("<br>")
    ]
  })

const refusals = () =>
  Object.entries(statuses).sort(([, a], [, b]) => a - b).map(([tag, status]) => [
    String(status),
    code(tag === "JournalFailure" ? "StorageUnavailable" : tag)
  ])

const resources = ["Session", "Turn", "Message", "Checkpoint", "Usage", "ContextManifest", "ContextSlot", "TurnOptions"]

const tables: Readonly<Record<string, () => string>> = {
  routes: () => table(["route", "query", "body", "answer", ""], routes()),
  events: () => table(["type", "data"], events()),
  "turn-errors": () => table(["`_tag`", "facts"], turnErrors()),
  refusals: () => table(["status", "`code`"], refusals()),
  resources: () =>
    resources.map((name) => `**${name}**: ${fieldsOf(schemaOf(name)).map(code).join(", ")}.`).join("\n\n")
}

/** The names of the parts, in the order of the page. */
export const parts = Object.keys(tables)

/** The page with its generated parts as they are now. A part that nobody knows is an error. */
export const filled = (page: string): string =>
  page.replace(/<!-- generated: ([a-z-]+) -->[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const made = tables[name]
    if (made === undefined) throw new Error(`docs/protocol.md asks for a part "${name}" that nobody makes`)
    return `<!-- generated: ${name} -->\n\n${made()}\n\n<!-- end -->`
  })
