/** The token that the browser keeps is missing, has ended, or is not accepted any longer. */
export class LogInNeeded extends Error {}

/**
 * The token that the browser keeps since its user has logged in; undefined if it keeps none and the hub requires none. The address
 * is passed in because it depends on the page's own: a proxy may serve both under a path prefix.
 */
export async function ownToken(address: string): Promise<string | undefined> {
  const answer = await fetch(address).catch(() => undefined)
  if (answer?.status === 401) throw new LogInNeeded('The hub requires a token')
  // What a proxy says of a hub that is away is no answer of the hub either.
  if (!answer?.ok) throw new Error('The hub does not answer')
  return answer.status === 204 ? undefined : answer.text()
}
