import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { sourceFiles } from './setup/source-files.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What is looked at: a whole file, the strings and TSDoc of a module, the messages of its errors, or the names and comments of its tests. */
type Part = 'all' | 'strings' | 'errors' | 'tests'

/** Texts that people read and that are in plain English already, by their paths. Add a line for each further area. */
const AREAS: readonly (readonly [paths: RegExp, part: Part])[] = [
  [/^(client|server|shared)\/.*\.ts$/, 'errors'],
  [/^shared\/(client-errors|hub-errors|error-text|fanfare-error)\.ts$/, 'all'],
  [/^server\/failure\/schema-fault\.ts$/, 'all'],
  [/^client\/.*\.(ts|md)$/, 'all'],
  [/^shared\/.*\.ts$/, 'all'],
  [/^docs\/generate\/.*\.ts$/, 'all'],
  [/^docs\/.*\.md$/, 'all'],
  [/^demo\/.*\.(ts|html|css)$/, 'all'],
  [/^test\/(?!language|setup\/cluster|faults\/cluster).*\.(ts|js)$/, 'tests'],
  [/^server\/.*\.(ts|css|html|yaml)$/, 'all'],
  [/^(ARCHITECTURE|CHANGELOG|CONTRIBUTING|PROTOCOL|README)\.md$/, 'all'],
]

/** Phrases that a native-speaking engineer does not write, with what to write instead. */
const PHRASES: readonly (readonly [phrase: RegExp, instead: string])[] = [
  [/\bwhoever\b/i, 'anyone who, the client that'],
  [/\bnobody\b/i, 'no client, no subscriber'],
  [/\b(some|every)body\b/i, 'a client, all clients'],
  [/\blets? go of\b/i, 'discards, deletes, releases'],
  [/\b(is|are) the stronger\b/i, 'takes precedence'],
  [/\bwould else\b/i, 'would otherwise'],
  [/\bbeside\b/i, 'besides, alongside, next to'],
  [/\banew\b/i, 'again'],
  [/\bfor ever\b/i, 'forever'],
  [/\bso (many|much)\b(?! (that|as))/i, 'this many, n'],
  [/\bwhole numbers?\b/i, 'integer'],
  [/\bis told\b/i, 'is reported, is notified'],
  [/\bshall\b/i, 'should, must, can'],
  [/\bbehind the (hello|welcome|frame|message)\b/i, 'after'],
  [/\b(has|have) no words\b/i, 'has no message'],
  [/\btaken back\b/i, 'revoked, returned'],
  [/\bmost (subscriptions|connections|consumers|messages|bytes) (of|that)\b/i, 'maximum … per'],
  [/(?<!\bthere )\bis no (?!longer|more|other|way|need)/i, 'is not a'],
  [/\b(he|him)\b/i, 'they, the client, the operator'],
  [/\bnot any longer\b/i, 'no longer'],
  [/\bTo be called\b/, 'Call when'],
  [/\bwho (has|have) none\b/i, 'clients without one'],
  [/\bas \S+ (has|have) it\b/i, 'as … defines it'],
  [/\bcan(not)? be had\b/i, 'is (not) available'],
  [/\b(for|to) (who|whoever)\b/i, 'for anyone who, for clients that'],
]

const FILES = [...['client', 'demo', 'docs', 'server', 'shared', 'test'].flatMap(sourceFiles), ...readdirSync(ROOT)]

it.each(AREAS)('%s (%s) is in plain English', (paths, part) => {
  const files = FILES.filter((path) => paths.test(path))
  expect(files, 'no such file').not.toEqual([])
  const found = files.flatMap((file) => {
    const text = readFileSync(`${ROOT}/${file}`, 'utf8')
    return PARTS[part](text).flatMap((each) =>
      PHRASES.flatMap(([phrase, instead]) => {
        const said = phrase.exec(each)?.[0]
        return said === undefined ? [] : `${file}: "${said}" → ${instead}`
      }),
    )
  })
  expect(found).toEqual([])
})

const STRING = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/.source

/** Quotation marks in other places are rare enough for a pattern. */
const PARTS: Record<Part, (text: string) => readonly string[]> = {
  all: (text) => [text],
  strings: (text) => text.match(new RegExp(`/\\*\\*[\\s\\S]*?\\*/|${STRING}`, 'g')) ?? [],
  errors: (text) => text.match(new RegExp(`FanfareError\\([^'"\`]{0,60}'\\w+',\\s*(?:${STRING})`, 'g')) ?? [],
  tests: (text) =>
    text.match(
      new RegExp(
        `/\\*[\\s\\S]*?\\*/|//.*|\\b(?:it|describe|onEvery\\w+)[.\\w]*\\(\\s*(?:${STRING})|\\)\\(\\s*(?:${STRING})`,
        'g',
      ),
    ) ?? [],
}
