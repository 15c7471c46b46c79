import { Client } from './client.ts'
import { Consumer } from './consumer.ts'
import { Delivery } from './delivery.ts'
import { ConnectionAdmin, HubAdmin, TopicAdmin } from './hub.ts'
import { DeadLetterAdmin, QueueAdmin } from './queues.ts'
import { StreamAdmin } from './streams.ts'
import { Subscription } from './subscription.ts'

// Private members are not found through a proxy. Vue puts one around every plain object in its state, and takes an object for plain unless
// it has a tag.
for (const { prototype } of [
  Client,
  Subscription,
  Consumer,
  Delivery,
  StreamAdmin,
  QueueAdmin,
  DeadLetterAdmin,
  HubAdmin,
  ConnectionAdmin,
  TopicAdmin,
])
  Object.defineProperty(prototype, Symbol.toStringTag, { value: 'Fanfare' })
