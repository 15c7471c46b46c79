// What a bug does that nothing stops: an exception in a callback, a promise that nobody handles.
process.on('SIGUSR2', () => {
  throw new Error('thrown')
})
process.on('SIGWINCH', () => {
  void Promise.reject(new Error('rejected'))
})
