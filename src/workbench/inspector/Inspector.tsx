import type { Server } from "../server/Server.ts"
import type { Looking } from "../session/Looking.ts"
export const Inspector = (_: { looking: Looking; server: Server }) => (
  <aside class="inspector" aria-label="Turn inspector"></aside>
)
