import { html, type TemplateResult } from 'lit/html.js'
import type { StreamStatus } from '../../../shared/sys.ts'
import { act, canAct } from '../acts.ts'
import type { ChartSpec } from '../chart.ts'
import { confirmed } from '../confirm.ts'
import { bytes, clock, count, counted, duration, rate, tick } from '../format.ts'
import type { History } from '../history.ts'
import { model } from '../hub.ts'
import { notice, tell } from '../notices.ts'
import type { OpenPage } from '../page.ts'
import { empty, facts, figure, heading } from '../parts.ts'
import { href } from '../route.ts'
import { MOST_ROWS, moreRows } from '../table.ts'
import { retention } from './streams.ts'

const IN: ChartSpec = { lines: [{ label: 'Captured', color: '--blue' }], value: (n) => `${rate(n)}/s`, tick }

export const openStream: OpenPage = ({ rest: [name = ''] }) => ({
  title: name,
  view() {
    const back = html`<p class="back"><a href=${href(['streams'])}>Streams</a></p>`
    const stream = model.streams.get(name)
    if (stream) return html`${back}${details(stream.info, stream.history)}`
    return html`${back}${heading(name)}${empty('There is no stream of that name', 'It may have been deleted, or its first figures are on their way.')}`
  },
})

function details(info: StreamStatus, history: History): TemplateResult {
  const { name, topics, first, next, oldestAt, newestAt, epoch, durability } = info
  return html`${heading(
    html`<span class="name">${name}</span>`,
    html`<a class="button" href=${href(['tail'], { pattern: topics[0] ?? '' })}>Tail</a>
      <button class="danger" ?disabled=${!canAct()} @click=${() => remove(info)}>Delete…</button>`,
  )}
    <dl class="figures">
      ${figure('In', `${rate(info.publishedPerSecond)}/s`, 'messages captured')}
      ${figure('Offsets kept', count(next - first), `${count(first)} to ${count(next)}`)}
      ${figure('Bytes', bytes(info.bytes), `of ${bytes(info.maxBytes)}`)}
      ${figure('Oldest', oldestAt === undefined ? '–' : duration(Date.now() - oldestAt), `kept for ${duration(info.maxAgeMs)}`)}
    </dl>
    <time-chart class="panel" .spec=${IN} .data=${history.columns(0)}></time-chart>
    <section><h2>Cursors</h2>${cursors(info)}</section>
    <section><h2>Trim</h2>
      <form class="panel row" @submit=${(event: SubmitEvent) => trim(event, info)}>
        <label><span>Let go of what lies before the offset</span>
          <input name="before" inputmode="numeric" pattern="[0-9]*" placeholder="all, up to ${next}" autocomplete="off" /></label>
        <button class="danger" ?disabled=${!canAct()}>Trim…</button>
      </form></section>
    <section><h2>About it</h2><div class="panel">${facts([
      ['Topics', html`<span class="name">${topics.join(', ')}</span>`],
      ['Keeps', retention(info)],
      [
        'A publish counts',
        durability === 'disk' ? 'when it is synced to the disk' : 'when the operating system has it',
      ],
      ['Newest message', newestAt === undefined ? 'none' : clock(newestAt)],
      ['Epoch', html`<span class="name">${epoch}</span>`],
    ])}</div></section>`
}

function cursors({ cursors, cursorCount, next, epoch }: StreamStatus): TemplateResult {
  const rows = Object.entries(cursors)
  if (rows.length === 0)
    return empty('No cursor is stored', 'A subscription with a cursor keeps its place here, and goes on there.')
  return html`<div class="panel table"><table>
    <thead><tr><th scope="col" class="text">Cursor</th><th scope="col" class="number">Offset</th><th scope="col" class="number">Behind</th></tr></thead>
    <tbody>${rows.slice(0, MOST_ROWS).map(
      ([name, position]) => html`<tr>
        <th scope="row" class="name">${name}</th><td class="number">${count(position.offset)}</td>
        <td class="number">${position.epoch === epoch ? count(next - position.offset) : 'of another log'}</td>
      </tr>`,
    )}</tbody></table></div>${moreRows(cursorCount, Math.min(rows.length, MOST_ROWS))}`
}

async function trim(event: SubmitEvent, { name, first, next }: StreamStatus): Promise<void> {
  event.preventDefault()
  const form = event.target as HTMLFormElement
  const text = String(new FormData(form).get('before') ?? '').trim()
  const before = text === '' ? next : Number(text)
  if (!Number.isSafeInteger(before)) return notice('The offset has to be a whole number.', true)
  const yes = await confirmed({
    title: `Trim ${name}?`,
    text: `The messages before offset ${count(before)} are deleted from the disk, ${counted(Math.max(0, before - first), 'offset')} at most. That cannot be undone.`,
    verb: 'Trim',
  })
  if (!yes) return
  const trimmed = act((hub) => hub.streams.trim(name, text === '' ? undefined : before))
  if (await tell(trimmed, (stream) => `${name} begins at offset ${count(stream.first)} now.`)) form.reset()
}

async function remove({ name, next, first, cursorCount }: StreamStatus): Promise<void> {
  const yes = await confirmed({
    title: `Delete the stream ${name}?`,
    text: `Its messages (${counted(next - first, 'offset')}) and ${counted(cursorCount, 'cursor')} are deleted, and its subscriptions end. That cannot be undone.`,
    verb: 'Delete',
    typed: name,
  })
  if (!yes) return
  const done = await tell(
    act((hub) => hub.streams.delete(name)),
    () => `The stream ${name} is deleted.`,
  )
  if (!done) return
  model.streams.delete(name)
  location.hash = href(['streams'])
}
