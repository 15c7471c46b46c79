// What an unhandled bug does: an exception in a callback, a rejection without a handler.
process.on('SIGUSR2', () => {
  throw new Error('thrown')
})
process.on('SIGWINCH', () => {
  void Promise.reject(new Error('rejected'))
})
