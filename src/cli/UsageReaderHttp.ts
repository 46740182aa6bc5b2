/** The usage ledger of a running server, over its HTTP interface. */
import type { HttpClient } from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { InvalidRequest } from "../domain/RequestError.ts"
import { UsagePage } from "../journal/UsageReport.ts"
import { connect } from "./ServerHttp.ts"
import { UsageReader } from "./UsageReader.ts"

const decodePage = Schema.decodeUnknown(Schema.parseJson(UsagePage))

export const layer = (url: string): Layer.Layer<UsageReader, InvalidRequest, HttpClient> =>
  Layer.effect(
    UsageReader,
    Effect.map(connect(url), ({ ask, read }) => ({
      page: ({ by, where }, { cursor, limit }) => {
        const urlParams = { ...where, ...(by.length === 0 ? {} : { by: by.join(",") }), cursor, limit }
        return Effect.flatMap(ask(HttpClientRequest.get("/v1/usage", { urlParams })), read(decodePage))
      }
    }))
  )
