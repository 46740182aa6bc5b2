/** Every migration, oldest first. Append only: a released entry never changes. */
import type { Migration } from "../Migrations.ts"
import { journal } from "./0001_journal.ts"
import { ledger } from "./0002_ledger.ts"
import { answers } from "./0003_answers.ts"
import { spending } from "./0004_spending.ts"
import { packed } from "./0005_packed.ts"
import { positions } from "./0006_positions.ts"
import { pages } from "./0007_pages.ts"

export const migrations: ReadonlyArray<Migration> = [journal, ledger, answers, spending, packed, positions, pages]
