/** A sentence in which some names, of environment variables for example, stand out to be copied exactly. */
export const Named = ({ names, text }: { readonly text: string; readonly names: ReadonlyArray<string> }) => (
  <>{text.split(/(\w+)/).map((word, index) => names.includes(word) ? <code key={index}>{word}</code> : word)}</>
)
