import { textUpTo, whole } from './rules.ts'

/** Maximum characters of an error of a handler, which is stored with its message: enough for the part of a stack that shows the place. */
export const MAX_ERROR = 2000

export const PREFETCH = whole(1, 100_000)

/** The method of a call. */
export const METHOD = textUpTo(64)
