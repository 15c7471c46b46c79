/** The command line is wrong, or was not confirmed: the command did nothing, and its exit code is 2. */
export class UsageError extends Error {}
