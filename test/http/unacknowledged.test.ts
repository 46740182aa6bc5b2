import { assert, describe, it } from "@effect/vitest"
import { queuedIn, silence } from "../../src/http/Unacknowledged.ts"

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0107E70A:1323 0207E70A:B548 01 000000B4:00000000 01:00000019 00000004     0        0 41 2 0 20 4 24 7 7
   1: 0107E70A:1323 0307E70A:B549 01 00000010:00000000 01:00000019 00000004     0        0 42 2 0 20 4 24 7 7
   2: 0107E70A:1323 0407E70A:B549 01 00000000:00000000 00:00000000 00000000     0        0 43 2 0 20 4 24 7 7
   3: 0107E70A:1323 0507E70A:B54A 06 00000007:00000000 00:00000000 00000000     0        0 44 2 0 20 4 24 7 7
`

describe("what a peer has not acknowledged", () => {
  it("P18: is read from the system's table by the two ports; where peers share a port, the least", () => {
    assert.strictEqual(queuedIn(table, 0x1323, 0xb548), 0xb4)
    assert.strictEqual(queuedIn(table, 0x1323, 0xb549), 0)
    assert.strictEqual(queuedIn(table, 0x1323, 0xb54a), 0, "not established")
    assert.strictEqual(queuedIn(table, 0xb548, 0x1323), 0)
    assert.strictEqual(queuedIn("", 1, 2), 0)
  })

  it("P18: a peer is silent when nothing new is acknowledged for the limit, and never while something is", () => {
    const gone = silence(30)
    assert.deepStrictEqual([gone(0, 100, 0), gone(13, 113, 15), gone(26, 126, 30)], [false, false, true])
    const busy = silence(30)
    assert.deepStrictEqual([0, 20, 40, 60].map((at) => busy(500, 1_000 + at, at)), [false, false, false, false])
    const back = silence(30)
    assert.deepStrictEqual([back(0, 100, 0), back(13, 113, 29), back(0, 113, 31), back(13, 126, 60)], [
      false,
      false,
      false,
      false
    ])
  })
})
