import type { QueueInfo } from 'fanfare/browser'
import { html, nothing, type TemplateResult } from 'lit'
import { MAX_WORKERS, type Service, type WorkerState } from '../../contract.ts'
import { card } from '../controls.ts'
import { photo, totals } from '../photos.ts'
import { LIT_MS, store, workersOf } from '../store.ts'
import { count } from '../text.ts'

const PHOTO_TOPICS = ['photos.uploaded', 'photos.thumbnailed', 'photos.moderated']

export function services(): TemplateResult {
  const { thumbnailsQueue, notificationsQueue } = store
  return card('services', {
    why: html`In <em>publish/subscribe</em> a service publishes to a topic, and every subscriber gets the message,
      whether there is one or ten. A <em>queue</em> bound to a topic gives each message to one consumer only. A
      <em>stream</em> keeps the messages for anyone who reads it later.`,
    look: 'which parts light up when you drop a photo: those that its message passes through.',
    show: html`${flow(
      'Queue: each photo goes to one consumer',
      html`${service('upload')} ${topic('photos.uploaded')}
        ${node('queue', 'queue', 'thumbnails', backlog(thumbnailsQueue))} ${service('thumbnails', MAX_WORKERS)}`,
    )}
    ${flow(
      'Fan-out: a finished worker publishes, and all tabs are notified',
      html`${topic('photos.thumbnailed')} ${node('notifications-queue', 'queue', 'notifications', backlog(notificationsQueue))}
        ${service('notifications')} ${node('tab', 'tab', 'this tab', `${count(store.noticed)} received`)}`,
    )}
    ${flow(
      'Stream: a log of every message, for any number of readers',
      html`${node('photos', 'topic', 'photos.#', 'uploaded, thumbnailed, moderated', PHOTO_TOPICS)}
        ${node('stream', 'stream', 'photos', `${count(store.seen + 1)} kept`)}
        <div class="readers">${service('analytics')} ${service('moderation')}</div>`,
    )}`,
  })
}

function backlog(queue: QueueInfo | undefined): string {
  if (!queue) return '…'
  const { depth, delayed, inFlight } = queue
  return `${count(depth - delayed)} ready, ${count(inFlight)} unacked${delayed > 0 ? `, ${count(delayed)} delayed` : ''}`
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

/** A service with its workers, each a process: one line each, and a last line for the rest. It has room for all from the start. */
function service(name: Service, rows = 1): TemplateResult {
  const workers = workersOf(name)
  const alive = workers.filter(isAlive)
  const ended = workers.filter((each) => !isAlive(each)).reverse()
  const all = [...alive, ...ended]
  const rest = all.slice(rows)
  return html`<div class="node service ${lit([name]) ? 'lit' : ''}" data-node=${name}>
    <span class="kind">service</span><strong>${name}</strong>
    <ul style="--rows: ${rows > 1 ? rows + 1 : 1}">
      ${all.length === 0 ? html`<li class="detail">${atRest(name)}</li>` : all.slice(0, rows).map(worker)}
      ${rest.length > 0 && rows > 1 ? html`<li class="detail">and ${summary(rest)}</li>` : nothing}
    </ul>
  </div>`
}

export function isAlive({ state }: WorkerState): boolean {
  return state !== 'dead' && state !== 'stopped'
}

/** Ended workers expire after a while; what moderation has published shows whether it has ever run. */
function atRest(name: Service): string {
  if (name === 'moderation') return totals.moderated > 0 || store.progress ? 'stopped' : 'not started yet'
  return 'not running'
}

/** `2 stopped, 1 dead` */
function summary(workers: readonly WorkerState[]): string {
  const counts = new Map<string, number>()
  for (const { state } of workers) counts.set(state, (counts.get(state) ?? 0) + 1)
  return [...counts].map(([state, n]) => `${n} ${state}`).join(', ')
}

function worker({ worker, state, photo: id, pid, attempt = 1 }: WorkerState): TemplateResult {
  const name = id === undefined ? undefined : photo(id)?.photo.name
  const on = name !== undefined && state === 'working' ? `${name}${attempt > 1 ? `, attempt ${attempt}` : ''}` : ''
  return html`<li class="worker ${state}" title="process ${pid}${on === '' ? '' : `: ${on}`}">
    <span class="dot" aria-hidden="true"></span><span class="who">${worker}</span> <em>${state}</em> <span class="on">${on}</span>
  </li>`
}
