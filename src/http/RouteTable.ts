/**
 * Finds the route of a request. A path is split at its slashes and compared as it came: ids differ by case, and a path
 * that is not exactly a route is none. What a route says in full goes before what it leaves open.
 */
import type { Method, Route } from "./Routes.ts"

interface Entry<A> {
  readonly route: Route
  readonly segments: ReadonlyArray<string>
  readonly value: A
}

export interface Found<A> {
  readonly value: A
  /** The parts of the path that the route names. */
  readonly parts: { readonly [name: string]: string }
}

export interface RouteTable<A> {
  /** HEAD is answered where GET is. */
  readonly find: (method: string, path: string) => Found<A> | undefined
  /** The methods that a path takes; none where there is nothing. */
  readonly methods: (path: string) => ReadonlyArray<string>
}

const isOpen = (segment: string): boolean => segment.startsWith(":")

const fits = (route: ReadonlyArray<string>, path: ReadonlyArray<string>): boolean => {
  if (route.length !== path.length) return false
  for (let i = 0; i < route.length; i++) {
    const part = route[i] ?? ""
    if (part !== path[i] && !(isOpen(part) && path[i] !== "")) return false
  }
  return true
}

const partsOf = (route: ReadonlyArray<string>, path: ReadonlyArray<string>): Found<unknown>["parts"] => {
  const parts: Record<string, string> = {}
  route.forEach((part, i) => {
    if (isOpen(part)) parts[part.slice(1)] = decodeURIComponent(path[i] ?? "")
  })
  return parts
}

export const make = <A>(routes: ReadonlyArray<readonly [route: Route, value: A]>): RouteTable<A> => {
  const entries: ReadonlyArray<Entry<A>> = routes.map(([route, value]) => ({
    route,
    segments: route.path.split("/"),
    value
  }))
  const ofMethod = (method: Method) => {
    const own = entries.filter(({ route }) => route.method === method)
    const open = own.filter(({ segments }) => segments.some(isOpen))
    // one that leaves something open is never found by its own text: its parts would be missing
    const closed = own.filter((entry) => !open.includes(entry))
    return {
      exact: new Map(closed.map(({ route, value }) => [route.path as string, { value, parts: {} }])),
      open
    }
  }
  const byMethod = new Map<string, ReturnType<typeof ofMethod>>(
    (["GET", "POST", "PATCH", "DELETE"] as const).map((method) => [method, ofMethod(method)])
  )
  byMethod.set("HEAD", ofMethod("GET"))
  return {
    find: (method, path) => {
      const own = byMethod.get(method)
      const exact = own?.exact.get(path)
      if (own === undefined || exact !== undefined) return exact
      const segments = path.split("/")
      const entry = own.open.find((entry) => fits(entry.segments, segments))
      return entry === undefined ? undefined : { value: entry.value, parts: partsOf(entry.segments, segments) }
    },
    methods: (path) => {
      const segments = path.split("/")
      const methods = new Set<string>()
      for (const entry of entries) {
        if (!fits(entry.segments, segments)) continue
        methods.add(entry.route.method)
        if (entry.route.method === "GET") methods.add("HEAD")
      }
      return [...methods]
    }
  }
}
