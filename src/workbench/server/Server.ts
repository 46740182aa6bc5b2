/**
 * The public HTTP API as the page uses it: the client's routes, each asked once. A person sees what failed and asks again;
 * what is sent twice keeps its key (`composer/Draft.ts`).
 */
import * as Api from "../../client/Api.ts"
import * as Http from "../../client/Http.ts"
import type { Bootstrap, TurnBody } from "../../client/Resources.ts"
import type { TurnstreamError } from "../../client/TurnstreamError.ts"
import * as Clock from "../kit/Clock.ts"

export interface TurnRequest extends Pick<TurnBody, "model"> {
  readonly message: string
  readonly provider: string
  readonly onBusy?: "queue"
}

/** The refusal is the end of a turn, whose own card says why. */
export const isRecorded = ({ problem, status }: TurnstreamError): boolean =>
  status === 422 && problem["turnId"] !== undefined

/** `token` is asked at each request: it may be entered later. */
export const make = (token: () => string | undefined) => {
  const ask = Http.make({ baseUrl: "", token })
  const api = Api.make(ask)
  return {
    ...api,
    /** `ahead`: milliseconds that this machine's clock is before the server's, to within a second. */
    bootstrap: () =>
      ask("/v1/bootstrap", async (response) => {
        const serverMs = Date.parse(response.headers.get("date") ?? "")
        return {
          answer: await response.json() as Bootstrap,
          ahead: Number.isNaN(serverMs) ? 0 : Clock.nowMs() - serverMs
        }
      }),
    /** What the session used in all; null where no turn used anything yet. */
    sessionUsage: async (session: string) => (await api.usage({ by: "session", session })).items[0] ?? null,
    events: api.sessionStream
  }
}

export type Server = ReturnType<typeof make>
