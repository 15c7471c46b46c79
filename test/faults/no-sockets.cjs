// A file system that refuses Unix sockets, for the lock of a data directory alone.
const { Server } = require('node:net')
const { listen } = Server.prototype
Server.prototype.listen = function (path, ...rest) {
  if (typeof path !== 'string') return listen.call(this, path, ...rest)
  const { CODE: code } = process.env
  process.nextTick(() => this.emit('error', Object.assign(new Error(`listen ${code}: ${path}`), { code })))
  return this
}
