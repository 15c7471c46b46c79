import { definedStatus } from '../../server/http/problem.ts'
import { ERRORS, type ErrorCode, errorEntry } from '../../shared/errors.ts'
import { ERROR_GUIDE } from './error-guide.ts'

const CODES = Object.keys(ERRORS) as ErrorCode[]

/** The text of docs/reference/error-codes.md. */
export function errorCodesPage(): string {
  return `# Error codes

Every refusal has a code from this list. Branch on \`error.code\`, never on the message: the message describes the one case, with the
value that was got and what was expected. \`error.retry\` says whether the same request may succeed later without a change.

- Client library: methods reject with a \`FanfareError\` that has \`code\`, \`message\` and \`retry\`.
- HTTP: the response is \`application/problem+json\` with \`code\`, \`detail\`, \`retry\` and the status.
- WebSocket: an \`error\` frame. Errors with a close code also close the connection, with \`<code>: <message>\` as the reason.
- Commands: \`fanfare: <code>: <message>\` on standard error.

${CODES.map((code) => `[\`${code}\`](#${code})`).join(' · ')}

${CODES.map(section).join('\n\n')}
`
}

function section(code: ErrorCode): string {
  const { text, retry, close } = errorEntry(code)
  const [cause, fix] = ERROR_GUIDE[code]
  const status = definedStatus(code)
  const facts = [
    `Retry: ${retry ? 'yes' : 'no'}`,
    ...(status === undefined ? [] : [`HTTP status: ${status}`]),
    ...(close === undefined ? [] : [`Close code: ${close}`]),
  ]
  return `## \`${code}\`

${text}

- **Cause:** ${cause}
- **Fix:** ${fix}
- ${facts.join(' · ')}`
}

/** The table of close codes in PROTOCOL.md. */
export function closeCodes(): string {
  const rows = CODES.flatMap((code) => {
    const { close, retry } = errorEntry(code)
    return close === undefined ? [] : [{ close, row: `| ${close} | \`${code}\` | ${retry ? 'yes' : 'no'} |` }]
  })
  const lines = rows.toSorted((a, b) => a.close - b.close).map(({ row }) => row)
  return ['| close code | error | reconnect |', '| --- | --- | --- |', ...lines].join('\n')
}
