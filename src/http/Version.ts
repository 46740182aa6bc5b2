/**
 * The package's version, from the one place that says it: the nearest `package.json` above this file, which is one or
 * two folders up depending on how the program was bundled.
 */
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"

const PackageJson = Schema.parseJson(Schema.Struct({ version: Schema.String }))

const near = new URL("../package.json", import.meta.url)
const file = existsSync(near) ? near : new URL("../../package.json", import.meta.url)

export const version: string = Schema.decodeUnknownSync(PackageJson)(readFileSync(file, "utf8")).version
