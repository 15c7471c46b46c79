/**
 * The bundle for pages: `index.ts`, with its modules in an order of their own. gzip finds what repeats within 32 KiB only, so that modules
 * that are alike stand together.
 */
import './hub.ts'
import './publisher.ts'
import './session.ts'
import './consumer.ts'
import './responders.ts'
import './handling.ts'

export * from './index.ts'
