/** The budgets that a configuration may set, under these names in `limits`. */
export const budgetNames = ["tokensPerSession", "tokensPerDay", "databaseBytes"] as const
export type BudgetName = (typeof budgetNames)[number]
