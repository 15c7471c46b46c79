/**
 * The token that the browser asked its user for when it opened the page; undefined if the hub requires none. The address
 * is passed in because it depends on the page's own: a proxy may serve both under a path prefix.
 */
export async function ownToken(address: string): Promise<string | undefined> {
  const answer = await fetch(address)
  if (answer.status === 204) return undefined
  if (!answer.ok) throw new Error(`The hub gives the page no token: ${answer.status}`)
  return answer.text()
}
