import { ERRORS, type ErrorCode, errorEntry } from '../../shared/errors.ts'

/** The error table as PROTOCOL.md has it. */
export function errorTable(): string {
  const rows = (Object.keys(ERRORS) as ErrorCode[]).map((code) => {
    const { text, retry, close } = errorEntry(code)
    return `| \`${code}\` | ${close ?? ''} | ${retry ? 'yes' : 'no'} | ${text} |`
  })
  return ['| code | close | retry | |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
