import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Busboy, type BusboyFileStream } from '@fastify/busboy'
import { nanoid } from 'nanoid'
import { displayName, MAX_FILES, MAX_UPLOAD_BYTES, Refused } from './check-picture.ts'
import type { Photo, UploadResult } from './contract.ts'
import { linger } from './linger.ts'

/** The form field of photos. */
const FIELD = 'photos'
/** Room for boundaries and headers in a request. */
const FORM_BYTES = 1024 * 1024
const TOO_LARGE = `The file is larger than ${MAX_UPLOAD_BYTES / 1024 / 1024} MB.`
const CUT_SHORT = 'The upload ended in the middle of the file.'

/** A file that arrived completely, under a name that was made here. */
export interface Received {
  readonly id: string
  readonly path: string
  /** The owner's name for it, made safe. */
  readonly name: string
  readonly bytes: number
}

/**
 * Streams the files of a request into a folder, and hands each complete one to `keep`, which must move it away.
 * Whatever happens, no file stays in the folder.
 *
 * It ends with the first file that is too large or cannot be written: the files after it are not read. Throws `Refused`
 * if there was no file at all.
 */
export async function receive(
  request: IncomingMessage,
  folder: string,
  keep: (file: Received) => Promise<Photo>,
): Promise<UploadResult[]> {
  const form = openForm(request)
  const results: Promise<UploadResult>[] = []
  const over = new AbortController()
  const end = new Promise<void>((resolve) => {
    // Nothing reads the form any longer: a file that waits for its end would wait forever.
    const cut = () => {
      over.abort()
      resolve()
    }
    request.once('close', () => {
      if (!request.complete) cut()
    })
    form.on('error', cut)
    form.once('finish', resolve)
    form.once('filesLimit', () => {
      results.push(Promise.resolve(refusal('', new Refused('too_many_files', TOO_MANY))))
      resolve()
    })
    form.on('file', (field, file, filename) => {
      file.once('limit', cut)
      const result = receiveFile(field, file, displayName(filename ?? ''), folder, keep, over.signal)
      results.push(result)
      void result.then((each) => {
        if (!each.ok && (each.code === 'storage_full' || each.code === 'failed')) cut()
      })
    })
  })
  request.pipe(form)
  await end
  linger(request)
  if (results.length > 0) return Promise.all(results)
  throw over.signal.aborted
    ? new Refused('cut_short', CUT_SHORT)
    : new Refused('no_file', 'The request contains no file.')
}

const TOO_MANY = `A request may contain at most ${MAX_FILES} files. The remaining ones were ignored.`

function openForm(request: IncomingMessage): Busboy {
  const { 'content-type': type = '', 'content-length': length = '0' } = request.headers
  if (Number(length) > MAX_FILES * MAX_UPLOAD_BYTES + FORM_BYTES) {
    linger(request)
    throw new Refused('too_large', `${TOO_LARGE} A request may contain at most ${MAX_FILES} files.`)
  }
  try {
    if (!type.startsWith('multipart/form-data')) throw new Error(`not ${type || 'without a type'}`)
    return new Busboy({
      headers: { ...request.headers, 'content-type': type },
      limits: { files: MAX_FILES, fileSize: MAX_UPLOAD_BYTES, parts: 2 * MAX_FILES, fieldSize: 1000, headerPairs: 20 },
    })
  } catch (error) {
    linger(request)
    throw new Refused('not_multipart', `Send photos as multipart/form-data, ${(error as Error).message}.`)
  }
}

async function receiveFile(
  field: string,
  file: BusboyFileStream,
  name: string,
  folder: string,
  keep: (file: Received) => Promise<Photo>,
  signal: AbortSignal,
): Promise<UploadResult> {
  const id = nanoid()
  const path = join(folder, id)
  try {
    if (field !== FIELD) {
      file.resume()
      throw new Refused('wrong_field', `The file came in the field “${displayName(field)}”; send photos in “${FIELD}”.`)
    }
    await pipeline(file, createWriteStream(path), { signal })
    if (file.bytesRead === 0) throw new Refused('empty', 'The file is empty.')
    return { ok: true, photo: await keep({ id, path, name, bytes: file.bytesRead }) }
  } catch (error) {
    return refusal(name, file.truncated ? new Refused('too_large', TOO_LARGE) : error, signal)
  } finally {
    await rm(path, { force: true })
  }
}

/** The uploader's message for a failure. */
export function refusal(name: string, error: unknown, signal?: AbortSignal): UploadResult & { ok: false } {
  if (error instanceof Refused) return { ok: false, name, code: error.code, message: error.message }
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return { ok: false, name, code: 'storage_full', message: 'The disk of the upload service is full.' }
  }
  if (signal?.aborted || /multipart/i.test(message)) return { ok: false, name, code: 'cut_short', message: CUT_SHORT }
  console.error(error)
  return { ok: false, name, code: 'failed', message: 'The upload service failed. Its log has the reason.' }
}
