import { assert, describe, it } from "@effect/vitest"
import * as Normal from "./Normal.ts"

describe("what a run left behind, made comparable", () => {
  it("equal behaviour gives equal bytes, whatever the ids, times, ports and folders were", () => {
    const said = (turn: string, session: string, port: number, at: string, folder: string) =>
      `http://127.0.0.1:${port}/v1/turns/${turn} ${turn} ${session} ${at} ${folder}/turnstream.db`
    const one = Normal.make(["/tmp/a"]).text(
      said("t_01m8dabv4h00003b5t7g24", "s_01m8dabv3z000011mc37tx", 4021, "2026-01-01T00:00:00.001Z", "/tmp/a")
    )
    const other = Normal.make(["/srv/b"]).text(
      said("t_01m8dabv600000w2q564a2", "s_01m8dabv4z000011mc37ty", 80, "2027-12-01T10:00:00Z", "/srv/b")
    )
    assert.strictEqual(one, other)
    assert.strictEqual(one, "http://127.0.0.1:<port>/v1/turns/t_1 t_1 s_1 <time> <data>/turnstream.db")
  })

  it("two ids stay two", () => {
    const normal = Normal.make()
    assert.strictEqual(
      normal.text("t_01m8dabv4h00003b5t7g24 t_01m8dabv600000w2q564a2 t_01m8dabv4h00003b5t7g24"),
      "t_1 t_2 t_1"
    )
  })
})
