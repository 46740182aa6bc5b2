/** A journal on a fresh SQLite file, with the file's path and connections at hand. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Database, DatabaseError } from "../../src/journal/Database.ts"
import * as DatabaseSqlite from "../../src/journal/DatabaseSqlite.ts"
import type { Journal } from "../../src/journal/Journal.ts"
import * as JournalSql from "../../src/journal/JournalSql.ts"
import { freshFolder } from "./databaseFixture.ts"

/** The journal of one folder; each build opens it anew. Relaxed, because tests pull no plug. */
export const layerIn = (
  dataDir: string,
  options: Partial<DatabaseSqlite.Options> = {}
): Layer.Layer<Journal | Database, DatabaseError> =>
  Layer.provideMerge(
    JournalSql.layer,
    DatabaseSqlite.layer({ dataDir, durability: "relaxed", takeOver: false, ...options })
  )

export const layerFresh: Layer.Layer<Journal | Database, DatabaseError> = Layer.unwrapScoped(
  Effect.map(freshFolder, (dataDir) => layerIn(dataDir))
)
