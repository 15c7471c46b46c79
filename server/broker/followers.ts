import { FanfareError } from '../../shared/errors.ts'
import type { Draft } from './broker.ts'

/**
 * Takes out of what is yet to be published what follows a failed publish: drafts of the same owner on the same topic. If their publisher loses its
 * connection before it hears of the failure, it publishes all of them again, and the failed one would come after those that were stored.
 */
export function takeFollowers(publishing: object[], failed: readonly Draft[]): Draft[] {
  if (failed.length === 0 || publishing.length === 0) return []
  const topics = new Map<object, Set<string>>()
  for (const { owner, topic } of failed) topics.set(owner, (topics.get(owner) ?? new Set()).add(topic))
  const followers: Draft[] = []
  let left = 0
  for (const each of publishing) {
    if (isDraft(each) && topics.get(each.owner)?.has(each.topic)) followers.push(each)
    else publishing[left++] = each
  }
  publishing.length = left
  return followers
}

/** What they are refused for: an unknown outcome is not theirs. */
export function followsFailed(error: FanfareError): FanfareError {
  if (error.code !== 'outcome_unknown') return error
  return new FanfareError('cluster_unreachable', FOLLOWS)
}

const FOLLOWS = 'An earlier publish on this topic has an unknown outcome. Nothing of this one was stored; try again.'

function isDraft(each: object): each is Draft {
  return 'topic' in each
}
