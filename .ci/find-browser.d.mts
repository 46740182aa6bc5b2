export declare const findBrowser: (
  env?: Readonly<Record<string, string | undefined>>
) => { readonly path: string } | { readonly reason: string }
