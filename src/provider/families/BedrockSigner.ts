/**
 * The key of a Bedrock request: a bearer token where the configuration names one, else an AWS Signature Version 4.
 *
 * What is signed is what the service needs (host, content-type, `x-amz-*`, the body), so that a header which a proxy
 * touches breaks nothing. A request that cannot be signed goes out without: the service refuses it by name, while a
 * defect of the signing library could carry keys.
 */
import { SignatureV4 } from "@smithy/signature-v4"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash, createHmac } from "node:crypto"
import { sessionEnv, signingEnv } from "../../config/Catalogue.ts"
import { bearer, type Keys, type Unsigned, type WireFamily } from "../Family.ts"

/** Of a host that names none: a proxy or a test. */
const defaultRegion = "us-east-1"

type Data = string | ArrayBuffer | ArrayBufferView

const dataOf = (data: Data): string | Uint8Array =>
  typeof data === "string"
    ? data
    : ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)

/** SHA-256 and its HMAC in the shape that the signer asks for. */
class Sha256 {
  readonly #hash
  constructor(secret?: Data) {
    this.#hash = secret === undefined ? createHash("sha256") : createHmac("sha256", dataOf(secret))
  }
  update(data: Data): void {
    this.#hash.update(dataOf(data))
  }
  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()))
  }
}

const valueOf = (keys: Keys, name: string): string | undefined => {
  const key = keys.get(name)
  const value = key === undefined ? "" : Redacted.value(key)
  return value === "" ? undefined : value
}

/** The region that the host of a public, FIPS, dual-stack or VPC endpoint names. */
const regionIn = (hostname: string): string | undefined =>
  /(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z]+(?:-[a-z]+)+-\d+)\./.exec(hostname)?.[1]

const signed = async (
  call: Unsigned,
  credentials: ConstructorParameters<typeof SignatureV4>[0]["credentials"],
  configuredRegion: string | undefined,
  atMs: number
): Promise<Readonly<Record<string, string>>> => {
  const { host, hostname, pathname, protocol } = new URL(call.url)
  const region = configuredRegion ?? regionIn(hostname) ?? defaultRegion
  const contentType = call.headers["content-type"]
  const signer = new SignatureV4({ credentials, region, service: "bedrock", sha256: Sha256 })
  // the path is percent-encoded as it goes out, and the signer encodes it once more
  const { headers } = await signer.sign({
    method: "POST",
    protocol,
    hostname,
    path: pathname,
    headers: { host, ...(contentType === undefined ? {} : { "content-type": contentType }) },
    body: call.body
  }, { signingDate: Math.floor(atMs / 1_000) })
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name === "authorization" || name.startsWith("x-amz-"))
  )
}

export const authorize: WireFamily["authorize"] = Effect.fnUntraced(function*(call, keys, facts) {
  if (facts.apiKeyEnv !== undefined) return yield* bearer(call, keys, facts)
  const [accessKeyId, secretAccessKey] = signingEnv.map((name) => valueOf(keys, name))
  if (accessKeyId === undefined || secretAccessKey === undefined) return {}
  const sessionToken = valueOf(keys, sessionEnv)
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
  const atMs = yield* Clock.currentTimeMillis
  return yield* Effect.tryPromise(() => signed(call, credentials, facts.region, atMs)).pipe(
    Effect.orElseSucceed((): Readonly<Record<string, string>> => ({}))
  )
})
