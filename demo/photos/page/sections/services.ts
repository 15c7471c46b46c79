import { html, nothing, type TemplateResult } from 'lit'
import type { Service, WorkerState } from '../../contract.ts'
import { card } from '../controls.ts'
import { photo } from '../photos.ts'
import { LIT_MS, store, workersOf } from '../store.ts'
import { count } from '../text.ts'

const PHOTO_TOPICS = ['photos.uploaded', 'photos.thumbnailed', 'photos.moderated']

export function services(): TemplateResult {
  const { thumbnailsQueue, notificationsQueue } = store
  const waiting = (queue: typeof thumbnailsQueue) => (queue ? `${count(queue.depth + queue.inFlight)} to do` : '…')
  return card(
    'services',
    'What each service is doing',
    html`A message lights up what it passes. Nobody calls anybody: a service publishes to a topic, and what is bound to
      the topic gets it, whether one service listens or ten.`,
    html`${flow(
      'Work: a queue gives each photo to one worker',
      html`${service('upload')} ${topic('photos.uploaded')}
        ${node('queue', 'queue', 'thumbnails', waiting(thumbnailsQueue))} ${service('thumbnails')}`,
    )}
    ${flow(
      'News: a worker that is done publishes too, and followers are told',
      html`${topic('photos.thumbnailed')} ${node('notifications-queue', 'queue', 'notifications', waiting(notificationsQueue))}
        ${service('notifications')} ${node('tab', 'tab', 'followers', `${count(store.noticed)} told here`)}`,
    )}
    ${flow(
      'Log: a stream keeps every message, for whoever wants to read it',
      html`${node('photos', 'topic', 'photos.#', 'uploaded, thumbnailed, moderated', PHOTO_TOPICS)}
        ${node('stream', 'stream', 'photos', `${count(store.seen + 1)} kept`)}
        <div class="readers">${service('analytics')} ${service('moderation')}</div>`,
    )}`,
  )
}

function flow(title: string, path: TemplateResult): TemplateResult {
  return html`<div class="flow" role="group" aria-label=${title}><h3>${title}</h3><div class="path">${path}</div></div>`
}

function lit(parts: readonly string[]): boolean {
  return parts.some((part) => Date.now() - (store.traffic.get(part) ?? 0) < LIT_MS)
}

function node(id: string, kind: string, name: string, detail: string, parts: readonly string[] = [id]): TemplateResult {
  return html`<div class="node ${kind} ${lit(parts) ? 'lit' : ''}" data-node=${id}>
    <span class="kind">${kind}</span><strong>${name}</strong><span class="detail">${detail}</span>
  </div>`
}

function topic(name: string): TemplateResult {
  return html`<div class="node topic ${lit([name]) ? 'lit' : ''}" data-node=${name}>
    <span class="kind">topic</span><strong>${name}</strong>
  </div>`
}

/** With its workers, each a process. */
function service(name: Service): TemplateResult {
  const workers = workersOf(name)
  return html`<div class="node service ${lit([name]) ? 'lit' : ''}" data-node=${name}>
    <span class="kind">service</span><strong>${name}</strong>
    ${
      workers.length === 0
        ? html`<span class="detail">${name === 'moderation' ? 'not started yet' : 'not heard of yet'}</span>`
        : html`<ul>${workers.map(worker)}</ul>`
    }
  </div>`
}

function worker({ worker, state, photo: id, pid, attempt }: WorkerState): TemplateResult {
  const name = id === undefined ? undefined : (photo(id)?.photo.name ?? id)
  return html`<li class="worker ${state}" title="process ${pid}">
    <span class="dot" aria-hidden="true"></span>${worker} <em>${state}</em>
    ${name !== undefined && state === 'working' ? html`<span class="on">${name}${(attempt ?? 1) > 1 ? `, attempt ${attempt}` : ''}</span>` : nothing}
  </li>`
}
