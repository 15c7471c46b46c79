/** The token in the browser is missing, has expired, or is no longer accepted. */
export class LogInNeeded extends Error {}

/**
 * The token that the browser has stored since the user logged in; undefined if there is none and the hub requires none. The address
 * is passed in because it depends on the page's own: a proxy may serve both under a path prefix.
 */
export async function ownToken(address: string): Promise<string | undefined> {
  const answer = await fetch(address).catch(() => undefined)
  if (answer?.status === 401) throw new LogInNeeded('The hub requires a token.')
  // A proxy's reply for an unreachable hub is not an answer of the hub.
  if (!answer?.ok) throw new Error('The hub does not answer.')
  return answer.status === 204 ? undefined : answer.text()
}
