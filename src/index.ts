/**
 * The package's public surface: contracts to program against, Layers to run on, and the pure domain.
 *
 * A program embeds the engine with `layerLocal({ dataDir })` and `TurnRuntime` (examples/embed.mjs); `layerTest()` is the
 * same engine in memory. Both take other parts: `layerProviders` brings providers of the program's own, `layerSources`
 * what goes into the context; a `Journal` of another kind goes under `layerRuntime`.
 */
export { type Otlp, Settings } from "./config/Settings.ts"
export { ContextBuilder, type ContextSource } from "./context/ContextBuilder.ts"
export { type ContextManifest } from "./domain/Context.ts"
export { MessageId, SessionId, TurnId } from "./domain/Ids.ts"
export type { Message, Part } from "./domain/Message.ts"
export * as RequestError from "./domain/RequestError.ts"
export type { Checkpoint, Session, Turn } from "./domain/Resources.ts"
export * as TurnError from "./domain/TurnError.ts"
export * as TurnEvent from "./domain/TurnEvent.ts"
export * as TurnState from "./domain/TurnState.ts"
export * as Usage from "./domain/Usage.ts"
export { FollowEnded, Journal } from "./journal/Journal.ts"
export {
  layerContext,
  layerDatabase,
  layerEngine,
  layerExport,
  layerLocal,
  layerProviders,
  layerReadOnly,
  layerRegistry,
  layerRuntime,
  layerSettings,
  layerSources,
  layerTelemetry,
  layerTest,
  type Parts
} from "./layers.ts"
export type { OwnModel, OwnProvider } from "./provider/OwnProviders.ts"
export type { AnswerSink, Provider, ProviderEvent, ProviderRequest } from "./provider/Provider.ts"
export { ProviderRegistry } from "./provider/ProviderRegistry.ts"
export { Script } from "./provider/Script.ts"
export { TurnRuntime } from "./turn/TurnRuntime.ts"
