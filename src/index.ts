/**
 * The package's public surface: contracts to program against, Layers to run on, and the pure domain.
 *
 * A program embeds the engine with `layerLocal({ dataDir })` and `TurnRuntime` (examples/embed.ts); `layerTest()` is the
 * same engine in memory. Any one part is swapped by building `layerRuntime` on another `Journal`, `ProviderRegistry`
 * or `ContextBuilder` layer.
 */
export { type Otlp, Settings } from "./config/Settings.ts"
export { ContextBuilder, type ContextSource, ContextSources } from "./context/ContextBuilder.ts"
export * as ContextBuilderLayer from "./context/ContextBuilderLayer.ts"
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
  layerReadOnly,
  layerRegistry,
  layerRuntime,
  layerSettings,
  layerTelemetry,
  layerTest
} from "./layers.ts"
export type { Provider, ProviderEvent, ProviderRequest } from "./provider/Provider.ts"
export { ProviderRegistry } from "./provider/ProviderRegistry.ts"
export { Script } from "./provider/Script.ts"
export { TurnRuntime } from "./turn/TurnRuntime.ts"
