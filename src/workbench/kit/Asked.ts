/** What a panel asks the server for while it is open, and again when `reasons` change; until then the last answer stays. */
import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import * as Words from "./Words.ts"

export type Asked<A> = { readonly value: A } | { readonly refused: string }

/** Undefined before the first answer. */
export const useAsked = <A>(ask: () => Promise<A>, reasons: ReadonlyArray<unknown>): Asked<A> | undefined => {
  const answer = useSignal<Asked<A> | undefined>(undefined)
  useEffect(() => {
    let isLeft = false
    const put = (next: Asked<A>): void => {
      if (!isLeft) answer.value = next
    }
    ask().then((value) => put({ value }), (error: unknown) => put({ refused: Words.messageOf(error) }))
    return () => {
      isLeft = true
    }
  }, reasons)
  return answer.value
}
