/** Asks for the server's token; it is kept until this tab is closed. */
import { useSignal } from "@preact/signals"
import { Dialog } from "./kit/Dialog.tsx"
import type { Workbench } from "./Workbench.ts"

export const TokenDialog = ({ workbench }: { readonly workbench: Workbench }) => {
  const wanted = workbench.tokenWanted.value
  const isClosed = useSignal(false)
  const token = useSignal("")
  if (wanted === undefined) return null
  if (isClosed.value) {
    return (
      <div class="notice row">
        <p>This server needs a token.</p>
        <button type="button" onClick={() => isClosed.value = false}>Enter the token</button>
      </div>
    )
  }
  return (
    <Dialog title="This server needs a token" onClose={() => isClosed.value = true}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (token.value.trim() !== "") workbench.giveToken(token.value.trim())
        }}
      >
        {wanted.wasRefused && <p class="note bad">The server did not accept that token.</p>}
        <label for="token">Token (the server's TURNSTREAM_TOKEN)</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          required
          aria-describedby="token-note"
          onInput={(event) => {
            token.value = event.currentTarget.value
          }}
        />
        <p id="token-note" class="quiet">It is kept until the tab is closed.</p>
        <div class="row">
          <button class="main">Use this token</button>
        </div>
      </form>
    </Dialog>
  )
}
