import { repeat } from 'lit/directives/repeat.js'
import { html, nothing, type TemplateResult } from 'lit/html.js'
import type { Attention, AttentionEntry, AttentionLevel } from '../../shared/sys.ts'
import { connectionName, count } from './format.ts'
import { type Level, mark, unanswered } from './parts.ts'
import type { Polled } from './poll.ts'
import { href } from './route.ts'
import { StillRows } from './still.ts'

const LEVELS: Readonly<Record<AttentionLevel, readonly [Level, string]>> = {
  problem: ['bad', 'Problem'],
  warning: ['warn', 'Warning'],
}

/** What needs attention, as the hub computes it: one entry per subject, the worst first. */
export class AttentionPanel {
  private readonly polled: Polled<Attention>
  private readonly still = new StillRows<AttentionEntry>('.attention ul', keyOf)

  constructor(polled: Polled<Attention>) {
    this.polled = polled
  }

  view(): TemplateResult {
    const { value, error } = this.polled
    if (!value) return unanswered(error)
    const { problems, warnings, entries } = value
    const rows = this.still.arranged(entries)
    const more = problems + warnings - entries.length
    return html`<section class="panel attention" aria-label="What needs attention">
      ${
        rows.length === 0
          ? html`<p>${mark('good')}Nothing needs attention.</p>`
          : html`<h2>Needs attention</h2>
            <ul>${repeat(
              rows,
              ({ row }) => keyOf(row),
              ({ row, isPast }) => entry(row, isPast),
            )}</ul>
            ${more > 0 ? html`<p class="more">${count(more)} more, listed first under <a href=${href(['queues'])}>queues</a> and <a href=${href(['connections'])}>connections</a>.</p>` : nothing}`
      }
    </section>`
  }
}

function entry(row: AttentionEntry, isPast: boolean): TemplateResult {
  const [level, word] = LEVELS[row.level]
  const [name, to] = subject(row)
  return html`<li class=${isPast ? 'past' : ''}>${mark(level)}<span><b class="level ${level}">${isPast ? 'Over' : word}</b>
    <a href=${to}>${name}</a> ${row.troubles.map(({ text }) => text).join(' It ')}</span></li>`
}

/** What the entry is about, and the page that shows more. */
function subject({ about, troubles }: AttentionEntry): readonly [name: string, href: string] {
  if (about.kind === 'connection') {
    return [connectionName(about), href(['connections', about.connection])]
  }
  if (about.kind === 'queue') {
    const onlyLetters = troubles.every(({ kind }) => kind === 'dead-letters')
    return [about.name, href(['queues', about.name, ...(onlyLetters ? ['dead-letters'] : [])])]
  }
  const late = troubles.every(({ kind }) => kind === 'event-loop-late')
  return ['The hub', href([late ? 'topics' : 'connections'])]
}

function keyOf({ about }: AttentionEntry): string {
  return about.kind === 'hub' ? 'hub' : `${about.kind} ${about.kind === 'queue' ? about.name : about.connection}`
}
