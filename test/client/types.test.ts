/**
 * The plain types of the client say what the schemas say, field by field: this file is checked by the compiler
 * (`npm run check`). What is compared is what is in JSON, where an id is a string.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Resources from "../../src/client/Resources.ts"
import type { Limits } from "../../src/config/Settings.ts"
import type * as Context from "../../src/domain/Context.ts"
import type * as Message from "../../src/domain/Message.ts"
import type * as Protocol from "../../src/domain/Protocol.ts"
import type * as Domain from "../../src/domain/Resources.ts"
import type * as TurnError from "../../src/domain/TurnError.ts"
import type * as TurnEvent from "../../src/domain/TurnEvent.ts"
import type * as Usage from "../../src/domain/Usage.ts"
import type * as Api from "../../src/http/Api.ts"
import type * as Bodies from "../../src/http/Bodies.ts"
import type { Transcript } from "../../src/journal/Transcript.ts"
import type { Asked, UsageItem } from "../../src/journal/UsageReport.ts"
import type { ModelInfo, ProviderDiagnostics } from "../../src/provider/ProviderRegistry.ts"
import type { Script } from "../../src/provider/Script.ts"
import type { SubmitBody, SubmitOptions } from "../../src/turn/TurnRuntime.ts"

type Json<S extends { readonly Encoded: unknown }> = S["Encoded"]

/** Intersections and mapped types as the objects that they are. */
type Flat<A> = A extends ReadonlyArray<infer Item> ? ReadonlyArray<Flat<Item>>
  : A extends object ? { [Key in keyof A]: Flat<A[Key]> }
  : A

/** Identical, `readonly` and optional included; the compiler compares the two conditions without resolving them. */
type Same<A, B> = (<T>() => T extends Flat<A> ? 1 : 2) extends (<T>() => T extends Flat<B> ? 1 : 2) ? true : false

/** Does not compile where the types differ. */
const same = <A, B>(...equal: Same<A, B> extends true ? [] : ["these types differ"]) => assert.isEmpty(equal)

/** Each type of event by itself, so that a difference names it. */
type ByType<E extends { readonly type: string }> = { readonly [T in E["type"]]: Extract<E, { readonly type: T }> }
type ByTag<E extends { readonly _tag: string }> = { readonly [T in E["_tag"]]: Extract<E, { readonly _tag: T }> }

describe("the client's types", () => {
  it("are those of events and errors", () => {
    same<ByType<Protocol.TurnEvent>, ByType<Json<typeof TurnEvent.TurnEvent>>>()
    same<ByTag<Protocol.TurnErrorInfo>, ByTag<Json<typeof TurnError.TurnErrorInfo>>>()
    same<Protocol.EventType, TurnEvent.EventType>()
    same<Protocol.Phase, TurnEvent.Phase>()
    same<Protocol.FinishReason, TurnEvent.FinishReason>()
    same<Protocol.DeltaKind, TurnEvent.DeltaKind>()
    same<Protocol.ProviderFailureKind, TurnError.ProviderFailureKind>()
    same<Protocol.Usage, Json<typeof Usage.Usage>>()
    same<Protocol.UsageSource, Usage.UsageSource>()
    same<Protocol.ContextManifest, Json<typeof Context.ContextManifest>>()
    same<Protocol.ToolCallPart, Json<typeof Message.ToolCallPart>>()
  })

  it("are those of resources and bodies", () => {
    same<Resources.Session, Json<typeof Domain.Session>>()
    same<Resources.Turn, Json<typeof Domain.Turn>>()
    same<Resources.Checkpoint, Json<typeof Domain.Checkpoint>>()
    same<Resources.Message, Json<typeof Message.Message>>()
    same<Resources.Part, Json<typeof Message.Part>>()
    same<Resources.Transcript, Json<typeof Transcript>>()
    same<Resources.NewSession, Json<typeof Bodies.CreateSessionBody>>()
    same<Resources.SessionChange, Json<typeof Bodies.UpdateSessionBody>>()
    same<Resources.TurnBody, Json<typeof SubmitBody>>()
    same<Resources.TurnOptions, Json<typeof SubmitOptions>>()
    same<Resources.Script, Json<typeof Script>>()
    same<Resources.ModelInfo, Json<typeof ModelInfo>>()
    same<Resources.ProviderDiagnostics, Json<typeof ProviderDiagnostics>>()
    same<Resources.Limits, Limits>()
    same<Resources.Bootstrap, Api.Bootstrap>()
    same<Resources.UsageRow, Json<typeof UsageItem>>()
    same<keyof Resources.UsageQuery, keyof Asked>()
  })
})
