/** Bytes that are leased ahead of what a connection has taken. */
export const LEASED_AHEAD_BYTES = 64 * 1024
/** How long a message waits in a busy client before an idle one may have it, in milliseconds. */
export const FAIR_MS = 100
