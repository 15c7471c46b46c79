/** Whether a message must no longer be delivered. `wall` is the machine's clock, as publishers see theirs. */
export function isExpired(expiresAt: number | undefined, wall: number): boolean {
  return expiresAt !== undefined && expiresAt <= wall
}
