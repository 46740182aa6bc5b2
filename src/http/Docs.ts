/**
 * The docs page: the OpenAPI document as static HTML. It has no script and one stylesheet of its own, so it works under
 * the same policy as every other answer.
 */
import type { OpenApiDocument, Operation } from "./OpenApiDocument.ts"

const escape = (text: string): string =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;")

const code = (text: string): string => `<code>${escape(text)}</code>`

/** A reference as a link to its schema, anything else as JSON. */
const schemaOf = (schema: unknown): string => {
  const text = JSON.stringify(schema, null, 2) ?? ""
  return `<pre>${
    escape(text).replace(
      /#\/components\/schemas\/([A-Za-z0-9_.-]+)/g,
      (whole, name: string) => `<a href="#schema-${name}">${whole}</a>`
    )
  }</pre>`
}

const contentOf = (content: object | undefined): string =>
  Object.entries(content ?? {})
    .map(([type, media]: [string, unknown]) => `<div>${code(type)}</div>${schemaOf(media)}`)
    .join("")

const details = (title: string, body: string): string => `<details><summary>${title}</summary>${body}</details>`

const parametersOf = (operation: Operation): string => {
  if (operation.parameters.length === 0) return ""
  const rows = operation.parameters.map((parameter) =>
    `<tr><td>${code(parameter.name)}</td><td>${parameter.in}</td><td>${parameter.required ? "yes" : "no"}</td><td>${
      escape(parameter.description ?? "")
    }</td></tr>`
  )
  return `<table><thead><tr><th>parameter</th><th>in</th><th>required</th><th>meaning</th></tr></thead><tbody>${
    rows.join("")
  }</tbody></table>`
}

const operationOf = (method: string, path: string, operation: Operation): string => {
  const body = operation.requestBody === undefined ? "" : details("body", contentOf(operation.requestBody.content))
  const answers = Object.entries(operation.responses).map(([status, answer]) =>
    Number(status) < 400
      ? details(`${status} ${escape(answer.description)}`, contentOf(answer.content))
      : `<div>${status} ${escape(answer.description)}</div>`
  )
  return `<section id="${escape(operation.operationId)}"><h3><span class="method">${method.toUpperCase()}</span> ${
    code(path)
  }</h3><p>${escape(operation.summary ?? "")}</p>${parametersOf(operation)}${body}${answers.join("")}</section>`
}

export const render = (spec: OpenApiDocument): string => {
  const groups = spec.tags.map(({ name }) => {
    const sections = Object.entries(spec.paths).flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([, operation]) => operation.tags.includes(name))
        .map(([method, operation]) => operationOf(method, path, operation))
    )
    return `<h2>${escape(name)}</h2>${sections.join("")}`
  })
  const schemas = Object.entries(spec.components.schemas).map(([name, schema]) =>
    `<section id="schema-${escape(name)}"><h3>${escape(name)}</h3>${schemaOf(schema)}</section>`
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(spec.info.title)} ${escape(spec.info.version)}</title>
<link rel="stylesheet" href="/docs.css">
</head>
<body>
<main>
<h1>${escape(spec.info.title)} <small>${escape(spec.info.version)}</small></h1>
<p>${escape(spec.info.description ?? "")} The same as data: <a href="/openapi.json">/openapi.json</a>.</p>
${groups.join("\n")}
<h2>schemas</h2>
${schemas.join("\n")}
</main>
</body>
</html>
`
}

export const stylesheet = `:root { color-scheme: light dark; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; }
h3 { margin-bottom: 0.25rem; }
.method { display: inline-block; min-width: 4rem; }
code, pre { font: 0.875rem/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid; border-radius: 0.25rem; }
table { border-collapse: collapse; }
th, td { padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; }
summary { cursor: pointer; }
`
