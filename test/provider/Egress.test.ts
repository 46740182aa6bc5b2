/** P26: which addresses and URLs may be called. The tables are written from IANA's registries, not from the code. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { loopbackOff } from "../../src/domain/TurnError.ts"
import { mayConnect, type Place, placeOf, refusal } from "../../src/provider/Egress.ts"

type Row = readonly [first: string, last: string, place: Place]

const rows4: ReadonlyArray<Row> = [
  ["0.0.0.0", "0.255.255.255", "reserved"],
  ["10.0.0.0", "10.255.255.255", "reserved"],
  ["100.64.0.0", "100.127.255.255", "reserved"],
  ["127.0.0.0", "127.255.255.255", "loopback"],
  ["169.254.0.0", "169.254.255.255", "reserved"],
  ["172.16.0.0", "172.31.255.255", "reserved"],
  ["192.0.0.0", "192.0.0.255", "reserved"],
  ["192.0.2.0", "192.0.2.255", "reserved"],
  ["192.88.99.0", "192.88.99.255", "reserved"],
  ["192.168.0.0", "192.168.255.255", "reserved"],
  ["198.18.0.0", "198.19.255.255", "reserved"],
  ["198.51.100.0", "198.51.100.255", "reserved"],
  ["203.0.113.0", "203.0.113.255", "reserved"],
  ["224.0.0.0", "255.255.255.255", "reserved"]
]

const ones = (from: string, groups: number) => `${from}${":ffff".repeat(groups)}`

/** Unspecified, loopback, what holds IPv4, discard, protocol assignments, documentation, unique local, link, site, multicast. */
const rows6: ReadonlyArray<Row> = [
  ["::", "::", "reserved"],
  ["::1", "::1", "loopback"],
  ["::2", "::ffff:ffff", "reserved"],
  ["::ffff:0:0:0", "::ffff:0:ffff:ffff", "reserved"],
  ["64:ff9b::", "64:ff9b::ffff:ffff", "reserved"],
  ["64:ff9b:1::", ones("64:ff9b:1", 5), "reserved"],
  ["100::", ones("100:0:0:0", 4), "reserved"],
  ["100:0:0:1::", ones("100:0:0:1", 4), "reserved"],
  ["200::", ones("1fff", 7), "reserved"],
  ["2001::", ones("2001:1ff", 6), "reserved"],
  ["2001:db8::", ones("2001:db8", 6), "reserved"],
  ["2002::", ones("2002", 7), "reserved"],
  ["3fff::", ones("3fff:fff", 6), "reserved"],
  ["4000::", ones("fbff", 7), "reserved"],
  ["5f00::", ones("5f00", 7), "reserved"],
  ["fc00::", ones("fdff", 7), "reserved"],
  ["fe80::", ones("febf", 7), "reserved"],
  ["fec0::", ones("feff", 7), "reserved"],
  ["ff00::", ones("ffff", 7), "reserved"]
]

const number4 = (address: string): bigint => address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n)
const text4 = (address: bigint): string =>
  [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 255n)).join(".")

const number6 = (address: string): bigint => {
  const [head = "", tail] = address.split("::")
  const groups = (text: string) => text.split(":").filter((group) => group !== "")
  const before = groups(head)
  const after = groups(tail ?? "")
  const all = tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill("0"), ...after]
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}
const text6 = (address: bigint): string =>
  Array.from({ length: 8 }, (_, index) => ((address >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)).join(":")

const expected = (
  rows: ReadonlyArray<Row>,
  numberOf: (address: string) => bigint,
  address: bigint
): Place => rows.find(([first, last]) => numberOf(first) <= address && address <= numberOf(last))?.[2] ?? "public"

const expected4 = (address: bigint) => expected(rows4, number4, address)

describe("P26: where an address lies", () => {
  for (const [first, last, place] of rows4) {
    it(`${first} to ${last} is ${place}, also inside IPv6, and what stands beside it is what it is`, () => {
      for (const border of [first, last]) {
        assert.strictEqual(placeOf(border), place, border)
        assert.strictEqual(placeOf(`::ffff:${border}`), place, `::ffff:${border}`)
        assert.strictEqual(placeOf(text6(0xffff_0000_0000n + number4(border))), place, `${border} in hex`)
      }
      for (const beside of [number4(first) - 1n, number4(last) + 1n]) {
        if (beside < 0n || beside > 0xffff_ffffn) continue
        assert.strictEqual(placeOf(text4(beside)), expected4(beside), text4(beside))
        assert.strictEqual(placeOf(`::ffff:${text4(beside)}`), expected4(beside), text4(beside))
      }
    })
  }

  for (const [first, last, place] of rows6) {
    it(`${first} to ${last} is ${place}`, () => {
      for (const border of [first, last, text6(number6(first)), text6(number6(last)).toUpperCase()]) {
        assert.strictEqual(placeOf(border), place, border)
      }
    })
  }

  const publicAddresses = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "::ffff:808:808",
    "2000::",
    ones("2000", 7),
    "2001:200::",
    ones("2001:db7", 6),
    "2001:db9::",
    "2003::",
    ones("3ffe", 7),
    "3fff:1000::",
    ones("3fff", 7),
    "2606:4700::6810:84e5"
  ]
  it("what is on the public network is public, up to the border of each range", () => {
    for (const address of publicAddresses) assert.strictEqual(placeOf(address), "public", address)
  })

  it("any address of IPv4 is where the registry puts it, however it is written", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.bigInt({ min: 0n, max: 0xffff_ffffn }), (address) => {
        const place = expected4(address)
        assert.strictEqual(placeOf(text4(address)), place)
        assert.strictEqual(placeOf(`::ffff:${text4(address)}`), place)
        assert.strictEqual(placeOf(text6(0xffff_0000_0000n + address)), place)
        // through a translator or a tunnel nothing is called, whatever is behind it
        for (const prefix of [0n, 0xffff_0000n << 32n, number6("64:ff9b::"), number6("2002::") + (address << 80n)]) {
          assert.notStrictEqual(placeOf(text6(prefix + address)), "public")
        }
      }),
      { numRuns: 2_000 }
    )
  })

  it("an address with a zone is where the address is; what is no address is nowhere that may be called", () => {
    assert.strictEqual(placeOf("fe80::1%eth0"), "reserved")
    assert.strictEqual(placeOf("::1%lo"), "loopback")
    for (
      const text of ["", "localhost", "1.2.3", "127.1", "0x7f.0.0.1", "8.8.8.8.", "[::1]", "2606:4700", "8.8.8.8 "]
    ) {
      assert.strictEqual(placeOf(text), "reserved", JSON.stringify(text))
    }
  })
})

const privateAddress = "its baseUrl is a private or reserved address, which is never called"
const notHttps = "its baseUrl is not https"

/** What is said of a URL with loopback off, and with it on. */
const urls: ReadonlyArray<readonly [url: string, off: string | undefined, on: string | undefined]> = [
  ["https://api.example/v1", undefined, undefined],
  ["https://api.example:8443/v1", undefined, undefined],
  ["https://8.8.8.8/v1", undefined, undefined],
  ["https://[2606:4700::1]/v1", undefined, undefined],
  ["http://api.example/v1", notHttps, notHttps],
  ["http://8.8.8.8/v1", notHttps, notHttps],
  ["ftp://api.example/v1", notHttps, notHttps],
  ["http://localhost/", loopbackOff, undefined],
  ["https://LOCALHOST/", loopbackOff, undefined],
  ["http://localhost./", loopbackOff, undefined],
  ["https://localhost%2e/", loopbackOff, undefined],
  ["http://vendor.localhost/", loopbackOff, undefined],
  ["http://127.0.0.1:11434/", loopbackOff, undefined],
  ["https://127.0.0.1./v1", loopbackOff, undefined],
  ["http://127.1/", loopbackOff, undefined],
  ["http://2130706433/", loopbackOff, undefined],
  ["http://017700000001/", loopbackOff, undefined],
  ["http://0x7f.1/", loopbackOff, undefined],
  ["http://0x7F000001/", loopbackOff, undefined],
  ["http://\u2460\u2461\u2466.0.0.1/", loopbackOff, undefined],
  ["http://[::1]/", loopbackOff, undefined],
  ["http://[0:0:0:0:0:0:0:1]/", loopbackOff, undefined],
  ["http://[::ffff:127.0.0.1]/", loopbackOff, undefined],
  ["https://user:word@127.0.0.1/", loopbackOff, undefined],
  ["https://api.example@127.0.0.1/", loopbackOff, undefined],
  ["https://169.254.169.254/latest/meta-data", privateAddress, privateAddress],
  ["http://2852039166/", privateAddress, privateAddress],
  ["http://0xa9fea9fe/", privateAddress, privateAddress],
  ["http://[::ffff:a9fe:a9fe]/", privateAddress, privateAddress],
  ["http://[::ffff:169.254.169.254]/", privateAddress, privateAddress],
  ["http://[fd00:ec2::254]/", privateAddress, privateAddress],
  ["https://api.example@169.254.169.254/", privateAddress, privateAddress],
  ["https://api.example:443@10.0.0.1/", privateAddress, privateAddress],
  ["https://10.1/", privateAddress, privateAddress],
  ["https://012.0.0.1/", privateAddress, privateAddress],
  ["https://10.0.0.1./", privateAddress, privateAddress],
  ["https://0/", privateAddress, privateAddress],
  ["https://[::]/", privateAddress, privateAddress],
  ["https://[::127.0.0.1]/", privateAddress, privateAddress],
  ["https://[::ffff:0:127.0.0.1]/", privateAddress, privateAddress],
  ["https://[64:ff9b::127.0.0.1]/", privateAddress, privateAddress],
  ["https://[2002:7f00:1::]/", privateAddress, privateAddress],
  ["https://[fe80::1]/", privateAddress, privateAddress]
]

describe("P26: which URL may be called", () => {
  for (const [text, off, on] of urls) {
    it(`${text}: ${off ?? "allowed"}${on === off ? "" : `; with loopback on ${on ?? "allowed"}`}`, () => {
      assert.strictEqual(refusal(new URL(text), false), off)
      assert.strictEqual(refusal(new URL(text), true), on)
    })
  }

  it("any number as a host is the address that it stands for, in every base", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.bigInt({ min: 0n, max: 0xffff_ffffn }), (address) => {
        const said = { public: undefined, loopback: loopbackOff, reserved: privateAddress }[expected4(address)]
        for (const host of [address, `0${address.toString(8)}`, `0x${address.toString(16)}`, text4(address)]) {
          assert.strictEqual(refusal(new URL(`https://${host}/`), false), said)
        }
      }),
      { numRuns: 500 }
    )
  })
})

/** A name or address, what it resolved to, and whether a connection may go there with loopback off and on. */
const connections: ReadonlyArray<readonly [host: string, address: string, off: boolean, on: boolean]> = [
  ["api.example", "8.8.8.8", true, true],
  ["api.example", "2606:4700::1", true, true],
  ["api.example", "::ffff:8.8.8.8", true, true],
  ["api.example", "127.0.0.1", false, false],
  ["api.example", "::1", false, false],
  ["api.example", "::ffff:127.0.0.1", false, false],
  ["api.example", "10.0.0.1", false, false],
  ["api.example", "169.254.169.254", false, false],
  ["api.example", "::ffff:a9fe:a9fe", false, false],
  ["api.example", "fd00:ec2::254", false, false],
  ["api.example", "0.0.0.0", false, false],
  ["api.example", "::", false, false],
  ["api.example", "", false, false],
  ["api.example", "localhost", false, false],
  ["localhost.api.example", "127.0.0.1", false, false],
  ["localhost", "127.0.0.1", false, true],
  ["localhost", "::1", false, true],
  ["localhost.", "127.0.0.1", false, true],
  ["vendor.localhost", "127.0.0.1", false, true],
  ["localhost", "8.8.8.8", false, false],
  ["localhost", "10.0.0.1", false, false],
  ["localhost", "169.254.169.254", false, false],
  ["127.0.0.1", "127.0.0.1", false, true],
  ["127.0.0.1", "8.8.8.8", false, false]
]

describe("P26: which address a connection may go to", () => {
  for (const [host, address, off, on] of connections) {
    it(`${host} at ${address || "nothing"}: ${off ? "yes" : on ? "with loopback on" : "never"}`, () => {
      assert.strictEqual(mayConnect(host, address, false), off)
      assert.strictEqual(mayConnect(host, address, true), on)
    })
  }
})
