/** The budgets that a configuration may set, under these names in `limits`. */
export const budgetNames = ["tokensPerSession", "tokensPerDay", "databaseBytes"] as const
export type BudgetName = (typeof budgetNames)[number]

/** A configured budget, and how much of it is used. */
export interface BudgetLevel {
  readonly budget: BudgetName
  readonly used: number
  readonly limit: number
}
