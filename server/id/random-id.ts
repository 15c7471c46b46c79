import { customAlphabet } from 'nanoid'

/**
 * An id of random letters and digits. Operators copy ids into commands, where one that begins with `-`, as those of nanoid's own alphabet
 * may, would be taken for an option; and a double click selects all of it.
 */
export const randomId: (characters: number) => string = customAlphabet(
  '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
)
