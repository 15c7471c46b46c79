import type { Photo, UploadAnswer } from '../contract.ts'
import { TAB } from './hub.ts'
import { bytesText } from './text.ts'

/** A file that somebody gave to this page. */
export interface Upload {
  readonly key: number
  readonly name: string
  readonly bytes: number
  /** Shows the file as it lies on this machine. */
  readonly preview: string
  state: 'waiting' | 'sending' | 'stored' | 'refused'
  /** Part of the file that is gone: 0 to 1. */
  progress: number
  photo?: Photo
  /** Why it was refused, in the words of the service. */
  refusal?: string
}

/** Files under way at once; browsers open six connections to one host. */
const AT_ONCE = 4
/** Uploads that are shown, the newest. */
const MOST = 60

/** The newest first. */
export const uploads: Upload[] = []
const waiting: { upload: Upload; file: File }[] = []
let sending = 0
let last = 0

/** Uploads files, each in a request of its own, so that each has its progress. Calls `changed` whenever there is news. */
export function uploadFiles(files: Iterable<File>, mostBytes: number, changed: () => void): void {
  for (const file of files) {
    const upload: Upload = {
      key: ++last,
      name: file.name,
      bytes: file.size,
      preview: URL.createObjectURL(file),
      state: 'waiting',
      progress: 0,
    }
    uploads.unshift(upload)
    if (file.size > mostBytes) {
      refuse(upload, `This file has ${bytesText(file.size)}; the service takes ${bytesText(mostBytes)} at most.`)
    } else {
      waiting.push({ upload, file })
    }
  }
  for (const { preview } of uploads.splice(MOST)) URL.revokeObjectURL(preview)
  next(changed)
  changed()
}

function next(changed: () => void): void {
  while (sending < AT_ONCE) {
    const first = waiting.shift()
    if (!first) return
    sending++
    send(first.upload, first.file, changed)
  }
}

/** With XMLHttpRequest, since `fetch` does not say how much of a body is gone. */
function send(upload: Upload, file: File, changed: () => void): void {
  const request = new XMLHttpRequest()
  upload.state = 'sending'
  request.upload.onprogress = ({ loaded, total }) => {
    upload.progress = total > 0 ? loaded / total : 0
    changed()
  }
  request.onloadend = () => {
    answered(upload, request)
    sending--
    next(changed)
    changed()
  }
  request.open('POST', `photos?by=${encodeURIComponent(TAB)}`)
  request.responseType = 'json'
  const body = new FormData()
  body.append('photos', file, file.name)
  request.send(body)
}

function answered(upload: Upload, request: XMLHttpRequest): void {
  const answer = (request.response as UploadAnswer | null)?.files[0]
  if (answer?.ok) {
    upload.state = 'stored'
    upload.progress = 1
    upload.photo = answer.photo
  } else if (answer) refuse(upload, answer.message)
  else if (request.status === 0) refuse(upload, 'The connection broke while the file was sent. Try it again.')
  else refuse(upload, `The service answered ${request.status}, and not what became of the file.`)
}

function refuse(upload: Upload, why: string): void {
  upload.state = 'refused'
  upload.refusal = why
}
