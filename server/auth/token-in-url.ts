/** Whether a query has a token in it, by the names that are usual for one. */
export function hasToken(query: string): boolean {
  const params = new URLSearchParams(query)
  return params.has('token') || params.has('access_token')
}
