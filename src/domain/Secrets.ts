/** What a text shows in place of a secret, and what is one by its look alone. */

export const mask = "***"

/**
 * Looks like a vendor's key whatever it is: `sk-...`, also half masked. Two letters alone are the beginning of many words.
 * For `replace`, which begins anew each time.
 */
export const keyLike = /\b(?:(?:sk|pk|rk|gsk|csk|xai|pplx|nvapi|hf)[-_]|AIza|AKIA|ASIA)[A-Za-z0-9_*-]{12,}/g
