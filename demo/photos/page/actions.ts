import { changed } from './store.ts'

/** The latest message of a control, and whether it is busy. */
export interface Outcome {
  readonly busy: boolean
  readonly text: string
  readonly failed: boolean
  readonly at: number
}

const outcomes = new Map<string, Outcome>()

export function outcome(name: string): Outcome | undefined {
  return outcomes.get(name)
}

/** Runs the action of a control, one at a time, and keeps its outcome for `said`. */
export async function act(name: string, doing: string, work: () => Promise<string>): Promise<void> {
  if (outcomes.get(name)?.busy) return
  say(name, { busy: true, text: doing, failed: false, at: Date.now() })
  try {
    say(name, { busy: false, text: await work(), failed: false, at: Date.now() })
  } catch (error) {
    say(name, {
      busy: false,
      text: error instanceof Error ? error.message : String(error),
      failed: true,
      at: Date.now(),
    })
  }
}

/** Choices made while another was carried out, by name: the newest of each. */
const chosen = new Map<string, () => void>()

/** Like `act`, for a choice among several: a choice made meanwhile is not lost, and the newest wins. */
export async function choose(name: string, doing: string, work: () => Promise<string>): Promise<void> {
  if (outcomes.get(name)?.busy) {
    chosen.set(name, () => void choose(name, doing, work))
    return
  }
  await act(name, doing, work)
  const next = chosen.get(name)
  chosen.delete(name)
  next?.()
}

function say(name: string, outcome: Outcome): void {
  outcomes.set(name, outcome)
  changed()
}
