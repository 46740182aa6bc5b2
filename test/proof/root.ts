/** The project's folder, also from a bundle two folders below it (`.ci/run-ts.mjs`). */
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../../", import.meta.url))
