import { textUpTo, whole } from './rules.ts'

/** Maximum characters of an error of a handler, which is kept with its message: those of a stack that tell where. */
export const MAX_ERROR = 2000

export const PREFETCH = whole(1, 100_000)

/** Of a call. */
export const METHOD = textUpTo(64)
