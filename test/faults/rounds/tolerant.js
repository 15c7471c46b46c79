/**
 * A full disk, a full Redis or one that cannot be reached refuses what a consumer reports of a failure, and a cursor; that is for its log, and the client
 * goes on.
 */
import { writeSync } from 'node:fs'
import process from 'node:process'

const PASSING = ['storage_full', 'cluster_unreachable', 'outcome_unknown']

export function goOn(history, name) {
  process.on('uncaughtException', (error) => {
    if (!PASSING.includes(error.code)) throw error
    writeSync(history, `${JSON.stringify({ act: `refused: ${error.code}`, by: name })}\n`)
  })
}
