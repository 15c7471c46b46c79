// A service that reads a stream under a cursor, prints what it handles, and fails at what is bad.
import { connect } from 'fanfare/client'

const client = connect(process.env.FANFARE_URL)
client.subscribe(
  's.#',
  ({ data }) => {
    if (data === 'bad') throw new Error('It cannot be handled')
    console.log(data)
    if (data === 'last') void client.close()
  },
  {
    from: 'earliest',
    cursor: 'service',
    ...(process.env.SKIP && { onError: (_, message) => console.log(`skipped ${message?.data}`) }),
  },
)
