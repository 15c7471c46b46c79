/** The rules of topics and patterns once more, for the compiler: what a name in the code can mean among named types. */

/** The words of a topic or pattern. What is only known to be text may be any number of words. */
type Words<Name extends string> = string extends Name
  ? ['#']
  : Name extends `${infer Word}.${infer Rest}`
    ? [Word, ...Words<Rest>]
    : [Name]

/** Whether there is a topic that two patterns both match; a topic is a pattern without wildcards. */
type Meet<A extends readonly string[], B extends readonly string[]> = A extends ['#', ...infer RestA extends string[]]
  ? Meet<RestA, B> extends true
    ? true
    : B extends [string, ...infer RestB extends string[]]
      ? Meet<A, RestB>
      : false
  : B extends ['#', ...string[]]
    ? Meet<B, A>
    : [A, B] extends [
          [infer WordA extends string, ...infer RestA extends string[]],
          [infer WordB extends string, ...infer RestB extends string[]],
        ]
      ? SameWord<WordA, WordB> extends true
        ? Meet<RestA, RestB>
        : false
      : [A, B] extends [[], []]
        ? true
        : false

type SameWord<A extends string, B extends string> = '*' extends A | B
  ? true
  : A extends B
    ? true
    : B extends A
      ? true
      : false

type Wildcard = `${string}${'*' | '#'}${string}`

/** Of the named ones all that a pattern can match; of what is not named nothing is known. */
type Matching<Named, Pattern extends string> = OrUnknown<
  { [Name in keyof Named & string]: Meet<Words<Name>, Words<Pattern>> extends true ? Named[Name] : never }[keyof Named &
    string]
>

type OrUnknown<Type> = [Type] extends [never] ? unknown : Type

/**
 * The payload of a topic: that of its own name, or of the pattern that it matches. Of a pattern, the union of all that
 * it can match; `unknown` where that is nothing.
 */
export type Payload<Named, Pattern extends string> = Pattern extends Wildcard
  ? Matching<Named, Pattern>
  : Pattern extends keyof Named
    ? Named[Pattern]
    : Matching<Named, Pattern>

/** The topics that one may publish on: those that are named, and what a named pattern can match. */
export type TopicOf<Name extends string> = Name extends `${infer Start}.#`
  ? TopicOf<Start> | `${TopicOf<Start>}.${string}`
  : Name extends `${infer Start}${'*' | '#'}${infer Rest}`
    ? `${Start}${string}${TopicOf<Rest>}`
    : Name
