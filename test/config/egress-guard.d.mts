export declare const staysLocal: (args: ReadonlyArray<unknown>) => boolean
