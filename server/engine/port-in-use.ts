import { FanfareError } from '../../shared/errors.ts'
import type { Address } from './engine.ts'

/** `cause` is a sentence, if the system says why. */
export function portInUse(
  { host, port, reusePort }: Pick<Address, 'host' | 'port' | 'reusePort'>,
  cause = '',
): FanfareError {
  const where = `The hub cannot listen on ${host}:${port}${cause && `: ${cause.replace(/\.$/, '')}`}.`
  // A shared port is taken by what does not share it: probably a hub that was started without the option.
  const shared = reusePort === 'on' ? ' All hubs on one port need reusePort.' : ''
  return new FanfareError('port_in_use', `${where}${shared} Stop what uses it, or choose another port.`)
}
