/** The page at `/`. */
// first of all: so the modules of others stand together in the bundle, and those of the page too, which gzip, looking
// back over 32 kB alone, makes 1 % smaller
import "./turn/Markdown.tsx"
import { render } from "preact"
import { App } from "./App.tsx"
import "./base.css"
import * as Workbench from "./Workbench.ts"

const root = document.getElementById("app")
if (root !== null) render(<App workbench={Workbench.make()} />, root)
