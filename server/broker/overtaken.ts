import { FanfareError } from '../../shared/errors.ts'
import type { Draft } from './broker.ts'

/**
 * Of what is published, in order, the drafts that were refused before their publisher lost its connection, and whose refusal was lost with it: retries that
 * are unknown, though a later retry of their owner and topic is known. Stored now, they would come after that one.
 */
export function overtakenAmong(publishing: readonly object[], isKnown: (draft: Draft) => boolean): ReadonlySet<object> {
  const overtaken = new Set<object>()
  const known = new Map<object, Set<string>>()
  for (let at = publishing.length - 1; at >= 0; at--) {
    const draft = publishing[at] as Draft | { readonly isRetry?: undefined }
    if (!draft.isRetry) continue
    const { owner, topic } = draft
    if (isKnown(draft)) known.set(owner, (known.get(owner) ?? new Set()).add(topic))
    else if (known.get(owner)?.has(topic)) overtaken.add(draft)
  }
  return overtaken
}

export function wasOvertaken(): FanfareError {
  return new FanfareError('connection_lost', OVERTAKEN)
}

const OVERTAKEN =
  'The connection was lost before the answer. This was refused, and a later publish on its topic was stored. Publish it again if it may come after that one.'
