/** Loaded into a hub before all else: a signal moves what it takes for the time, forth and back, as an operator or NTP would. */
import process from 'node:process'

const MOVES_MS = [3_600_000, -7_200_000, 3_600_000]
const real = Date.now
let moved = 0
let next = 0
Date.now = () => real() + moved
process.on('SIGUSR2', () => {
  moved += MOVES_MS[next++ % MOVES_MS.length]
})
