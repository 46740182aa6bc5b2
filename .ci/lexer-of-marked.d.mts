export declare const lexerOfMarked: (code: string) => string
