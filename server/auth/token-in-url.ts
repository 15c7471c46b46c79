/** Whether a query contains a token, by the usual parameter names. */
export function hasToken(query: string): boolean {
  const params = new URLSearchParams(query)
  return params.has('token') || params.has('access_token')
}
