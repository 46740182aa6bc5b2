/** How large a running engine's database is, with its write-ahead log folded in. */
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { freshFolder } from "./Program.ts"

interface Sqlite {
  readonly pragma: (text: string) => unknown
  readonly close: () => void
}

// the driver that the service brings, which has no types
const Sqlite = createRequire(import.meta.url)("better-sqlite3") as new(path: string) => Sqlite

const extension = ".db"

/** Of the one database in `folder`, by a copy: whoever owns the file is not disturbed. Nothing may write meanwhile. */
export const bytes = (folder: string): number => {
  const name = Fs.readdirSync(folder).find((name) => name.endsWith(extension))
  if (name === undefined) throw new Error(`no database in ${folder}`)
  const copies = freshFolder()
  const copy = Path.join(copies, name)
  for (const suffix of ["", "-wal"]) {
    if (Fs.existsSync(Path.join(folder, name + suffix))) {
      Fs.copyFileSync(Path.join(folder, name + suffix), copy + suffix)
    }
  }
  const database = new Sqlite(copy)
  database.pragma("wal_checkpoint(TRUNCATE)")
  database.close()
  const { size } = Fs.statSync(copy)
  Fs.rmSync(copies, { recursive: true })
  return size
}
