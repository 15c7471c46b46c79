import { customAlphabet } from 'nanoid'

/**
 * An id of random letters and digits. Operators copy ids into commands, where an id that begins with `-`, possible with nanoid's
 * own alphabet, would be taken for an option. A double click selects the whole id.
 */
export const randomId: (characters: number) => string = customAlphabet(
  '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
)
