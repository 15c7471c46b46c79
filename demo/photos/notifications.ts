/** Notifies each following tab of each photo that is ready. Tabs come and go: a tab counts as following if it has published so recently. */
import type { Delivery } from 'fanfare/client'
import type { Notification, Thumbnailed } from './contract.ts'
import { reporter, takePart } from './part.ts'

const part = takePart()
const { client } = part
const report = reporter(part, 'notifications')

/** Until when each tab follows, in milliseconds since 1970. */
const followers = new Map<string, number>()
const follows = client.subscribe(
  'followers.*',
  ({ data: { tab, following }, expiresAt = 0 }) => {
    if (following) followers.set(tab, expiresAt)
    else followers.delete(tab)
  },
  { stream: 'followers', from: 'earliest' },
)
await follows.ready

const work = client.consume<Thumbnailed>('notifications', notify)
part.onStop(() => work.close())
await work.ready
report()

async function notify({ data: { photo, thumbnails } }: Delivery<Thumbnailed>): Promise<void> {
  const { id, name, by } = photo
  const notification: Notification = { photo: { id, name, by }, thumbnail: thumbnails[0]?.url ?? photo.url }
  for (const [tab, until] of followers) {
    if (until < Date.now()) followers.delete(tab)
    else await client.publish(`notifications.${tab}`, notification)
  }
}
