/**
 * The token that the browser asked its user for when it opened the page; undefined if the hub requires none. Its address
 * stands beside the page's, which a proxy may serve below a path of its own.
 */
export async function ownToken(address: string): Promise<string | undefined> {
  const answer = await fetch(address)
  if (answer.status === 204) return undefined
  if (!answer.ok) throw new Error(`The hub gives the page no token: ${answer.status}`)
  return answer.text()
}
