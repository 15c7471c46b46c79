import { FanfareError } from '../../../shared/errors.ts'

export function tooManyCursors(stream: string, max: number): FanfareError {
  const fault = `Stream "${stream}" has ${max} cursors, the maximum (cursorsPerStream).`
  return new FanfareError('cursor_limit', `${fault} Delete unused ones, or raise the limit.`)
}

export function noCursor(stream: string, name: string): FanfareError {
  return new FanfareError('no_cursor', `Stream "${stream}" has no cursor "${name}".`)
}
