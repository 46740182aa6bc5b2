/** Live providers on loopback: they are known, each lacks its key where nobody sets one, and port 9 takes no call. */
const provider = (id: string, apiKeyEnv: string) => ({
  id,
  family: "openai-compatible",
  baseUrl: "http://127.0.0.1:9/v1",
  apiKeyEnv,
  models: [{ id: `${id}-large`, contextWindow: 128_000 }]
})

/** `acme` needs ACME_API_KEY, `other` OTHER_API_KEY. */
export const config = {
  network: { live: true, allowLoopback: true },
  providers: [provider("acme", "ACME_API_KEY"), provider("other", "OTHER_API_KEY")]
}
