/** The top line: whose session, how the connection is, which theme. */
import * as Theme from "../kit/Theme.ts"
import type { Workbench } from "../Workbench.ts"
import { Connection } from "./Connection.tsx"
import "./header.css"
import { SessionPicker } from "./SessionPicker.tsx"

const icons: Readonly<Record<Theme.Theme, string>> = { system: "◐", light: "○", dark: "●" }

const ThemeButton = () => (
  <button
    type="button"
    class="icon"
    aria-label={`Theme: ${Theme.theme.value}`}
    onClick={Theme.next}
  >
    <span aria-hidden="true">{icons[Theme.theme.value]}</span>
  </button>
)

export const Header = ({ workbench }: { readonly workbench: Workbench }) => (
  <header class="top">
    <h1>turnstream</h1>
    <SessionPicker workbench={workbench} />
    <span class="grow" />
    <Connection workbench={workbench} />
    <ThemeButton />
  </header>
)
