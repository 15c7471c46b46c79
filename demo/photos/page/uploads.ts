import type { Photo, UploadAnswer } from '../contract.ts'
import { TAB } from './hub.ts'
import { bytesText } from './text.ts'

/** A file that the user gave to this page. */
export interface Upload {
  readonly key: number
  readonly name: string
  readonly bytes: number
  /** Shows the local file. */
  readonly preview: string
  state: 'waiting' | 'sending' | 'stored' | 'refused'
  /** Part of the file that has been sent: 0 to 1. */
  progress: number
  photo?: Photo
  /** Why it was refused, in the service's words. */
  refusal?: string
}

/** Parallel uploads; browsers open at most six connections to one host. */
const AT_ONCE = 4
/** How many uploads are shown, newest first. */
const MOST = 60

/** Newest first. */
export const uploads: Upload[] = []
const waiting: { upload: Upload; file: File }[] = []
let sending = 0
let last = 0

/** Uploads files, each in its own request, so that each has a progress bar. Calls `changed` after every change. */
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
      refuse(upload, `This file is ${bytesText(file.size)}; the maximum is ${bytesText(mostBytes)}.`)
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

/** Uses XMLHttpRequest, since `fetch` does not report how much of a body has been sent. */
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
  else if (request.status === 0) refuse(upload, 'The connection was lost during the upload. Try again.')
  else refuse(upload, `The service responded with ${request.status} and did not report what happened to the file.`)
}

function refuse(upload: Upload, why: string): void {
  upload.state = 'refused'
  upload.refusal = why
}
