import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import type { AuthOptions } from '../../server/index.ts'
import { Peer } from './peer.ts'
import { ec, ed, jwks, keyFolder, rsa, SECRET } from './tokens.ts'

export const ALL = { admin: true } as const
export const folder = keyFolder()
export const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
export const apiKey = newApiKey()

export const secretFile = folder.write('secret', `${SECRET}\n`)
export const auth: AuthOptions = {
  jwt: {
    keys: [
      { secretFile },
      { publicKeyFile: folder.write('rsa.pem', pem) },
      { publicKeyFile: folder.write('ec.json', JSON.stringify(ec.publicKey.export({ format: 'jwk' }))) },
      { jwksFile: folder.write('ed.json', jwks({ ed: ed.publicKey })) },
    ],
    audience: 'fanfare',
    issuer: ['https://one', 'https://two'],
  },
  apiKeys: [{ name: 'service', hash: hashApiKey(apiKey), permissions: ALL }],
  roles: { default: { subscribe: ['users.${sub}.#'] } },
}
export const good = { aud: 'fanfare', iss: 'https://two' }

/** Presents a token. Gives the welcome, or the error code and the close code. */
export async function hello(url: string, token: string | undefined, protocols?: string[]) {
  const peer = await Peer.open(url, protocols)
  peer.send({ type: 'hello', token })
  return entered(peer)
}

export async function entered(peer: Peer) {
  const welcome = await peer.next('welcome').catch(() => undefined)
  if (welcome) {
    peer.socket.terminate()
    return { subject: welcome.subject }
  }
  const error = peer.frames.find(({ type }) => type === 'error') as { code: string; message: string } | undefined
  return { code: error?.code, close: (await peer.closed).code, message: error?.message }
}
