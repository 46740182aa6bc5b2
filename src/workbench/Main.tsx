/** The page at `/`. */
import { render } from "preact"
import { App } from "./App.tsx"
import "./base.css"
import * as Workbench from "./Workbench.ts"

const root = document.getElementById("app")
if (root !== null) render(<App workbench={Workbench.make()} />, root)
