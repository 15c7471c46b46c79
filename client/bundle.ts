/**
 * The bundle for pages: `index.ts`, with its modules in a different order. gzip finds repetition only within 32 KiB, so similar modules
 * are next to each other.
 */
import './hub.ts'
import './publisher.ts'
import './session.ts'
import './consumer.ts'
import './responders.ts'
import './handling.ts'

export * from './index.ts'
