import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { StreamStatus } from '../../../shared/sys.ts'
import { act, canAct } from '../acts.ts'
import { confirmed } from '../confirm.ts'
import { bytes, count, counted, duration, exact, rate } from '../format.ts'
import type { HistoryView } from '../history-view.ts'
import { hubNow } from '../hub.ts'
import { tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, figure, moment } from '../parts.ts'
import { href } from '../route.ts'
import { invalidate } from '../schedule.ts'
import { MOST_ROWS, moreRows } from '../table.ts'
import { openNamed } from './named-page.ts'
import { retention } from './streams.ts'

/** The error in the trim form, shown next to it. */
interface TrimForm {
  problem: string | undefined
}

export const openStream: OpenPage = (route) => {
  const form: TrimForm = { problem: undefined }
  return openNamed<StreamStatus>(route, {
    kind: 'stream',
    verbs,
    details: (info, history) => details(info, history, form),
  })
}

function verbs(info: StreamStatus): TemplateResult {
  return html`<a class="button" href=${href(['tail'], { pattern: info.topics[0] ?? '' })}>Tail</a>
    <button class="danger" ?disabled=${!canAct()} @click=${() => remove(info)}>Delete…</button>`
}

function details(info: StreamStatus, history: HistoryView, form: TrimForm): TemplateResult {
  const { topics, oldestAt, newestAt, epoch, durability } = info
  return html`<dl class="figures few">
      ${figure('In', `${rate(info.publishedPerSecond)}/s`, 'messages captured')}
      ${figure('Messages', count(info.messages), offsetsText(info))}
      ${figure('Bytes', bytes(info.bytes), `of ${bytes(info.maxBytes)}`)}
      ${figure('Oldest', oldestAt === undefined ? '–' : duration(hubNow() - oldestAt), `kept for ${duration(info.maxAgeMs)}`)}
    </dl>
    ${history.charts([{ lines: [{ label: 'In', color: '--blue', figure: 'publishedPerSecond' }], value: (n) => `${rate(n)}/s` }])}
    <section><h2>Cursors</h2>${cursors(info)}</section>
    <div class="columns">
      <section><h2>Trim</h2>${trimForm(info, form)}</section>
      <section><h2>Details</h2><div class="panel">${facts([
        ['Topics', html`<span class="name">${topics.join(', ')}</span>`],
        ['Retention', retention(info)],
        [
          'A publish is acknowledged',
          durability === 'disk' ? 'once it is synced to the disk' : 'once the operating system has it',
        ],
        ['Newest message', newestAt === undefined ? 'none' : moment(newestAt)],
        ['Epoch', html`<span class="name">${epoch}</span>`],
      ])}</div></section>
    </div>`
}

/** The first and the last offset; the next one is not assigned yet. */
function offsetsText({ first, next, lastValue }: StreamStatus): string {
  if (next === first) return `next offset: ${exact(next)}`
  const range = next - first === 1 ? `offset ${exact(first)}` : `offsets ${exact(first)} to ${exact(next - 1)}`
  return lastValue ? `${range}; only the newest of each topic and key` : range
}

function cursors({ cursors, cursorCount, next, epoch }: StreamStatus): TemplateResult {
  const rows = Object.entries(cursors)
  if (rows.length === 0)
    return empty('No cursors', 'A subscription with a cursor stores its position here and resumes from it.')
  return html`<div class="panel table"><table aria-label="Cursors">
    <thead><tr><th scope="col" class="text">Cursor</th><th scope="col" class="number long">Next offset</th><th scope="col" class="number long">Consumer lag</th></tr></thead>
    <tbody>${rows.slice(0, MOST_ROWS).map(
      ([name, position]) => html`<tr>
        <th scope="row" class="name">${name}</th><td class="number">${exact(position.offset)}</td>
        <td class="number">${position.epoch === epoch ? exact(next - position.offset) : 'another epoch'}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(cursorCount, Math.min(rows.length, MOST_ROWS))}`
}

function trimForm(info: StreamStatus, form: TrimForm): TemplateResult {
  return html`<form class="panel row" novalidate @submit=${(event: SubmitEvent) => trim(event, info, form)}>
    <label><span>Delete messages before offset</span>
      <input name="before" inputmode="numeric" autocomplete="off" placeholder="${exact(info.first)} to ${exact(info.next)}"
        aria-invalid=${form.problem !== undefined} aria-describedby="trim-problem" /></label>
    <button class="danger" ?disabled=${!canAct()}>Trim…</button>
    <p id="trim-problem" class="error full" role="alert">${form.problem ?? nothing}</p>
  </form>`
}

async function trim(event: SubmitEvent, { name, first, next }: StreamStatus, form: TrimForm): Promise<void> {
  event.preventDefault()
  const element = event.target as HTMLFormElement
  const text = String(new FormData(element).get('before') ?? '').replaceAll(/[\s,]/g, '')
  const before = Number(text)
  form.problem = undefined
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(before)) form.problem = 'Enter an offset: an integer.'
  else if (before > next) form.problem = `The maximum is offset ${exact(next)}, which deletes all messages.`
  else if (before <= first) form.problem = `The stream has no messages before offset ${exact(first)}.`
  invalidate()
  if (form.problem !== undefined) return
  const everything = before === next
  const yes = await confirmed({
    title: everything ? `Delete all messages in ${name}?` : `Trim ${name}?`,
    text: `${everything ? 'All messages' : `The messages before offset ${exact(before)}`} will be deleted from disk: ${counted(before - first, 'offset')} of ${exact(next - first)}. This cannot be undone.`,
    verb: 'Trim',
    ...(everything && { typed: name }),
  })
  if (!yes) return
  if (
    await tell(
      act((hub) => hub.streams.trim(name, before)),
      (stream) => `${name} now starts at offset ${exact(stream.first)}.`,
    )
  ) {
    element.reset()
  }
}

async function remove({ name, next, first, cursorCount }: StreamStatus): Promise<void> {
  const yes = await confirmed({
    title: `Delete the stream ${name}?`,
    text: `Its messages (${counted(next - first, 'offset')}) and ${counted(cursorCount, 'cursor')} will be deleted, and its subscriptions will end. This cannot be undone.`,
    verb: 'Delete',
    typed: name,
  })
  if (!yes) return
  if (
    await tell(
      act((hub) => hub.streams.delete(name)),
      () => `The stream ${name} was deleted.`,
    )
  )
    location.hash = href(['streams'])
}
