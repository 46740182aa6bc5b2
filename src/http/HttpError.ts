/**
 * Refusals that only HTTP knows: addressing, authority, media types, sizes. Facts and a message that says what to do;
 * none repeats what a stranger sent beyond a bounded path.
 */
import * as Schema from "effect/Schema"

const tag = <const T extends string>(name: T) => `turnstream/http/${name}` as const

export class Unauthorized extends Schema.TaggedError<Unauthorized>(tag("Unauthorized"))("Unauthorized", {
  reason: Schema.Literal("missing", "repeated", "wrong")
}) {
  override get message() {
    switch (this.reason) {
      case "missing":
        return "A token is needed. Send the header Authorization: Bearer <token>."
      case "repeated":
        return "Authorization must come once. Send one Authorization header."
      case "wrong":
        return "This token is not accepted. Check the value of TURNSTREAM_TOKEN on the server."
    }
  }
}

export class ForbiddenOrigin
  extends Schema.TaggedError<ForbiddenOrigin>(tag("ForbiddenOrigin"))("ForbiddenOrigin", {})
{
  override get message() {
    return 'Requests from this origin are not accepted. Add it to "origins" in the configuration if it is yours.'
  }
}

export class MisdirectedHost
  extends Schema.TaggedError<MisdirectedHost>(tag("MisdirectedHost"))("MisdirectedHost", {})
{
  override get message() {
    return 'This host name is not served here. Use 127.0.0.1 or localhost with the port, or add the name to "hosts" in the configuration.'
  }
}

export class NotFound extends Schema.TaggedError<NotFound>(tag("NotFound"))("NotFound", {
  /** The number of a checkpoint that a turn does not have, and of its last one; 0 where it has none. */
  checkpoint: Schema.optional(Schema.Int),
  last: Schema.optional(Schema.Int)
}) {
  override get message() {
    if (this.checkpoint !== undefined) {
      return `No checkpoint ${this.checkpoint}; ${
        (this.last ?? 0) === 0 ? "this turn has none yet." : `the last is ${this.last}.`
      }`
    }
    return "There is nothing at this address. See /docs for the routes."
  }
}

export class MethodNotAllowed
  extends Schema.TaggedError<MethodNotAllowed>(tag("MethodNotAllowed"))("MethodNotAllowed", {
    allow: Schema.Array(Schema.String)
  })
{
  override get message() {
    return `This address does not take this method. Allowed: ${this.allow.join(", ")}.`
  }
}

export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>(tag("PayloadTooLarge"))("PayloadTooLarge", {
  limit: Schema.Int,
  setting: Schema.Literal("limits.bodyBytes", "limits.importBytes")
}) {
  override get message() {
    return `The body is larger than ${this.limit} bytes. Send less, or raise ${this.setting}.`
  }
}

export class UnsupportedMediaType
  extends Schema.TaggedError<UnsupportedMediaType>(tag("UnsupportedMediaType"))("UnsupportedMediaType", {
    reason: Schema.Literal("content-type", "charset", "content-encoding")
  })
{
  override get message() {
    switch (this.reason) {
      case "content-type":
        return "The body must be JSON. Send the header Content-Type: application/json."
      case "charset":
        return "The body must be UTF-8. Send Content-Type: application/json without another charset."
      case "content-encoding":
        return "Encoded bodies are not accepted. Send the body without Content-Encoding."
    }
  }
}

export class HeadersTooLarge extends Schema.TaggedError<HeadersTooLarge>(tag("HeadersTooLarge"))("HeadersTooLarge", {
  limit: Schema.Int,
  what: Schema.Literal("bytes", "lines")
}) {
  override get message() {
    if (this.what === "lines") return `The request has more than ${this.limit} header lines. Send fewer.`
    return `The request's headers are larger than ${this.limit} bytes. Send less, or raise limits.headerBytes.`
  }
}

export class RequestTimeout extends Schema.TaggedError<RequestTimeout>(tag("RequestTimeout"))("RequestTimeout", {}) {
  override get message() {
    return "The request did not arrive in time. Send it again, faster, or raise limits.requestTimeoutMs."
  }
}

export class ExpectationFailed
  extends Schema.TaggedError<ExpectationFailed>(tag("ExpectationFailed"))("ExpectationFailed", {})
{
  override get message() {
    return "Only Expect: 100-continue is understood. Leave the header out."
  }
}

/** A defect of this program. Nothing of it is shown; the log has it. */
export class InternalError extends Schema.TaggedError<InternalError>(tag("InternalError"))("InternalError", {}) {
  override get message() {
    return "Something went wrong here. Try again; if it goes on, look at the service's log."
  }
}

export type HttpError =
  | Unauthorized
  | ForbiddenOrigin
  | MisdirectedHost
  | NotFound
  | MethodNotAllowed
  | PayloadTooLarge
  | UnsupportedMediaType
  | HeadersTooLarge
  | RequestTimeout
  | ExpectationFailed
  | InternalError
