import { sentence } from '../../shared/error-text.ts'
import { errorEntry, FanfareError } from '../../shared/errors.ts'
import type { Engine } from './engine.ts'

export const ENGINE_NAMES = ['auto', 'ws', 'uws'] as const
export type EngineName = (typeof ENGINE_NAMES)[number]

/** Loads an engine by name; `auto` is uws if its package has a native binary for this machine, otherwise ws. Throws `engine_missing`. */
export async function loadEngine(name: EngineName): Promise<Engine> {
  if (name === 'ws') return (await import('./ws-engine.ts')).wsEngine
  try {
    return (await import('./uws-engine.ts')).uwsEngine
  } catch (error) {
    if (name === 'auto') return loadEngine('ws')
    const why = sentence((error as Error).message.split('\n')[0] as string)
    throw new FanfareError('engine_missing', `${why} ${errorEntry('engine_missing').text}`)
  }
}
