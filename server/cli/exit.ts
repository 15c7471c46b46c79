/** Exit codes other than 0. */
export const EXIT = { failed: 1, usage: 2, interrupted: 130 } as const

/** Their meanings, for the help and the reference. */
export const EXIT_CODES = [
  ['0', 'done; also if serve, sub or work was stopped with Ctrl-C'],
  ['1', 'failed: refused by the hub, not connected, or declined at the prompt'],
  ['2', 'wrong command line, data or configuration, or --yes is missing'],
  ['130', 'interrupted with Ctrl-C before it was done'],
] as const
