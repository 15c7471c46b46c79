/**
 * The token that the browser has asked its user for when it opened the page, to say hello with; none where the hub wants
 * none.
 */
export async function ownToken(): Promise<string | undefined> {
  const answer = await fetch('/token')
  if (answer.status === 204) return undefined
  if (!answer.ok) throw new Error(`The hub gives the page no token: ${answer.status}`)
  return answer.text()
}
