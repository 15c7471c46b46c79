import { DEFAULT_PRIORITY, PRIORITIES } from '../../rules/order.ts'

const BAND = 1e15

/**
 * Queues: what a call keeps of them while it runs, and every move of a message from one place to the next. A message is in
 * one of these: it waits (`:o`, all of them by number), and if it may go it stands in line too, ready (`:r`) or delayed
 * (`:d`); or it is on lease (`:l:<node>`). Of a group only the head stands in line. It is kept in two parts, its attributes
 * (`:h`) and its body (`:m`).
 *
 * A plain message has no key, the default priority, no delay and no expiry. Until a consumer has had it, it is in none of
 * these, but in a batch: see `queue-batches.ts`.
 *
 * `q.load` reads a queue, everything changes its figures there, and `q.finish` writes them, once in a call.
 *
 * Repeats of `rules/`: `isWithin`, `makesRoom`, `roomFor` (limits), `isExpired`, `parksGroup`, `excessLetters`, the order of
 * `order.ts`.
 */
export const QUEUES = String.raw`
local q = { loaded = {}, list = {} }
local NONE, READY, DELAYED, FLIGHT = 0, 1, 2, 3
local BAND = ${BAND} -- the line of one priority
local HEAD = '>BBI4I4dd' -- flags (1: has a key, 2: has a scope), priority, bytes, length of the record, expires, due; the key follows
local RECORD = '>BBI4I4' -- the beginning of it, to the length of the record
local STORED = '>dBBI4I4dd' -- the same of a message that is stored: since when, and its attributes
local ATTRIBUTES = struct.size(HEAD) -- before the key
local PLAIN = ${(PRIORITIES - 1 - DEFAULT_PRIORITY) * BAND} -- where the line of the plain ones begins
local NOW = struct.pack('>d', now)
local ZEROS = string.rep('0', 15)

function q.key(n, part) return P .. 'q:' .. n .. part end

-- Time that never goes back: a delay takes as long as was asked, whatever happens to the clock.
function q.mono()
  if q.steady then return q.steady end
  local v = call('HMGET', P .. 'meta', 'raw', 'back')
  local raw, back = tonumber(v[1]) or now, tonumber(v[2]) or 0
  if now < raw then back = back + raw - now end
  q.back, q.steady = back, now + back
  return q.steady
end

function q.load(n)
  n = tostring(n)
  local s = q.loaded[n]
  if s then return s end
  s = q.read(n)
  if not s then return nil end
  s.k, s.gzKey, s.size0, s.bytes0 = n, q.key(n, ':gz'), s.size, s.bytes
  q.nothingAdded(s)
  s.groups, s.grouped, s.checks, s.news, s.batches = {}, {}, {}, {}, {}
  q.loaded[n] = s
  q.list[#q.list + 1] = s
  return s
end

function q.declare(n, options)
  local o = cjson.decode(options)
  local c = { size = 0, packed = 0, next = 0, letter = 0, bytes = 0, wbytes = 0, flight = 0, behind = 0, undue = 0,
    published = 0, acked = 0, again = 0, dropped = 0, lost = 0, due = 0 }
  call('HSETNX', q.key(n, ''), 'c', cmsgpack.pack(c))
  call('HSET', q.key(n, ''), 'o', cmsgpack.pack({ mm = o.maxMessages, mb = o.maxBytes, ov = o.overflow,
    ex = o.onExpiry, pk = o.onDeadLetter, ml = o.maxDeadLetters }))
  q.load(n)
end

function q.remove(n)
  for _, part in ipairs({ '', ':o', ':r', ':d', ':x', ':h', ':m', ':f', ':g', ':gz', ':p', ':dl', ':w', ':wc', ':rw', ':n', ':nl', ':nc' }) do
    call('UNLINK', q.key(n, part))
  end
  for _, each in ipairs(call('SMEMBERS', P .. 'lessees')) do
    call('UNLINK', q.key(n, ':l:' .. each))
    call('SREM', P .. 'l:' .. each, n)
  end
  call('ZREM', P .. 'qv', n)
  q.loaded[tostring(n)] = nil
  for i, s in ipairs(q.list) do
    if s.k == tostring(n) then table.remove(q.list, i) break end
  end
end

function q.nothingAdded(s)
  s.zo, s.zr, s.h, s.m, s.gz, s.added, s.offered = {}, {}, {}, {}, {}, 0, 0
end

-- Writes what has been added, before anything reads it.
function q.flush(s)
  if s.added == 0 and s.offered == 0 and #s.gz == 0 then return end
  if s.added > 0 then
    call('ZADD', q.key(s.k, ':o'), unpack(s.zo))
    call('HSET', q.key(s.k, ':h'), unpack(s.h))
    call('HSET', q.key(s.k, ':m'), unpack(s.m))
  end
  if #s.gz > 0 then call('ZADD', q.key(s.k, ':gz'), unpack(s.gz)) end
  if s.offered > 0 then call('ZADD', q.key(s.k, ':r'), unpack(s.zr)) end
  q.nothingAdded(s)
end

-- The values of some fields, in their order. The number of arguments of a call is limited.
function q.fetch(hash, fields)
  if #fields <= 500 then return fetch(hash, fields) end
  local found = {}
  for from = 1, #fields, 500 do
    for _, value in ipairs(call('HMGET', hash, unpack(fields, from, math.min(from + 499, #fields)))) do
      found[#found + 1] = value
    end
  end
  return found
end

function q.parse(h)
  if not q.isReadable(h) then return q.unreadable() end
  local time, flags, priority, bytes, size, expires, due, at = struct.unpack(STORED, h)
  return { time = time, keyed = flags % 2 == 1, priority = priority, bytes = bytes, size = size, expires = expires, due = due,
    key = string.sub(h, at) }
end

-- Messages

function q.enter(s, attr, body)
  local seq, n = s.next, s.added
  local member = text(seq)
  local flags, priority, bytes, size, expires, due, at = struct.unpack(HEAD, attr)
  if due > 0 and q.mono() ~= now then
    due = due + q.back
    attr = struct.pack(HEAD, flags, priority, bytes, size, expires, due) .. string.sub(attr, at)
  end
  s.next, s.size, s.bytes, s.wbytes, s.published = seq + 1, s.size + 1, s.bytes + bytes, s.wbytes + bytes, s.published + 1
  s.zo[n + 1], s.zo[n + 2] = member, member
  s.h[n + 1], s.h[n + 2] = member, NOW .. attr
  s.m[n + 1], s.m[n + 2] = member, body
  s.added = n + 2
  if expires > 0 then call('ZADD', q.key(s.k, ':x'), expires, seq) end
  if due > 0 then s.news[member] = true end
  if flags % 2 == 0 then
    if due == 0 then
      q.ready(s, member, priority)
      s.due = s.due + 1
    elseif q.offer(s, seq, priority, due) then s.due = s.due + 1 else s.undue = s.undue + 1 end
  else
    local key = string.sub(attr, at)
    local g = q.group(s, key)
    if g.check then q.heads(s) end
    g.n, g.u, s.undue = g.n + 1, g.u + 1, s.undue + 1
    s.gz[#s.gz + 1] = '0'
    s.gz[#s.gz + 1] = q.member(key, seq)
    if g.p == 0 and g.l == NONE then q.offer(s, seq, priority, due, g) end
  end
  if s.added >= 1000 then q.flush(s) end
  return seq
end

-- It waits no longer: it is on its way out, or on lease.
function q.takeOut(s, seq, h)
  q.flush(s)
  call('ZREM', q.key(s.k, ':o'), seq)
  s.wbytes = s.wbytes - h.bytes
  if h.expires > 0 then call('ZREM', q.key(s.k, ':x'), seq) end
  local line = call('ZREM', q.key(s.k, ':r'), seq) == 1 and READY or (call('ZREM', q.key(s.k, ':d'), seq) == 1 and DELAYED or NONE)
  if not h.keyed then
    if line == DELAYED and call('HEXISTS', q.key(s.k, ':f'), seq) == 0 then s.undue = s.undue - 1 end
    return
  end
  local g = q.group(s, h.key)
  g.n = g.n - 1
  if seq > g.t then g.u, s.undue = g.u - 1, s.undue - 1 end
  if line ~= NONE then g.l = NONE end
  q.check(s, g)
end

-- It is in no line and on no lease: nothing of it stays.
function q.forget(s, seq, h)
  call('HDEL', q.key(s.k, ':h'), seq)
  call('HDEL', q.key(s.k, ':m'), seq)
  call('HDEL', q.key(s.k, ':f'), seq)
  s.size, s.bytes = s.size - 1, s.bytes - h.bytes
  if h.keyed then
    call('ZREM', q.key(s.k, ':gz'), q.member(h.key, seq))
    q.check(s, q.group(s, h.key))
  end
end

function q.isHeld(s, lessee, seq) return call('SISMEMBER', q.key(s.k, ':l:' .. lessee), seq) == 1 end

-- Ends the lease of one; the message is then nowhere until the caller puts it somewhere.
function q.release(s, lessee, seq, h)
  call('SREM', q.key(s.k, ':l:' .. lessee), seq)
  s.flight = s.flight - 1
  if h.keyed then
    local g = q.group(s, h.key)
    g.l = NONE
    q.check(s, g)
  end
end

-- Comes back to its place, once it is due.
function q.putBack(s, seq, h, due)
  if h.isUnreadable then return q.setAside(s, seq, h) end
  call('ZADD', q.key(s.k, ':o'), seq, seq)
  s.wbytes = s.wbytes + h.bytes
  if h.expires > 0 then call('ZADD', q.key(s.k, ':x'), h.expires, seq) end
  if not h.keyed then
    q.offer(s, seq, h.priority, due)
    return
  end
  local g = q.group(s, h.key)
  g.n = g.n + 1
  if seq > g.t then g.u, s.undue = g.u + 1, s.undue + 1 end
  if g.p == 0 and g.l == NONE and q.headOf(s, h.key) == seq then q.offer(s, seq, h.priority, due, g) else q.check(s, g) end
end

function q.headerOf(s, seq)
  q.flush(s)
  local h = call('HGET', q.key(s.k, ':h'), seq) or q.takeApart(s, seq)
  return q.parse(q.whole(s, seq, h))
end

-- The oldest that waits, which has the places of others then.
function q.oldest(s)
  q.flush(s)
  local oldest, new = tonumber(call('ZRANGE', q.key(s.k, ':o'), 0, 0)[1]), q.firstNew(s)
  if not new or (oldest and oldest < new.first) then return oldest end
  q.takeNewApart(s, new)
  return new.first
end

function q.trimLetters(s)
  local key = q.key(s.k, ':dl')
  local excess = math.min(call('XLEN', key) - s.o.ml, 1000)
  if excess <= 0 then return end
  s.lost = s.lost + excess
  call('XTRIM', key, 'MAXLEN', '=', call('XLEN', key) - excess)
  if call('XLEN', key) == 0 then call('UNLINK', key) end
end

-- A message that is on no lease and in no line becomes a dead letter.
function q.bury(s, seq, h, reason, attempts, said)
  local f = q.failure(s, seq)
  local note = { seq = seq, reason = reason, attempts = attempts or (f and f.attempts) or 0,
    error = said or (f and f.error), publishedAt = h.time, diedAt = now }
  local header, body = call('HGET', q.key(s.k, ':h'), seq), call('HGET', q.key(s.k, ':m'), seq)
  if h.isUnreadable or not body then return q.setAside(s, seq, h) end
  s.letter = s.letter + 1
  call('XADD', q.key(s.k, ':dl'), string.format('%d-0', s.letter), 'n', cjson.encode(note), 'h', header, 'm', body)
  q.trimLetters(s)
  q.forget(s, seq, h)
  if s.o.pk == 'park' and h.keyed then q.park(s, h.key) end
end

-- What becomes of one that has expired.
function q.drop(s, seq, h)
  q.takeOut(s, seq, h)
  if h.isUnreadable then q.setAside(s, seq, h)
  elseif s.o.ex == 'dead-letter' then q.bury(s, seq, h, 'expired') else
    q.forget(s, seq, h)
    s.dropped = s.dropped + 1
  end
end

function q.expire(s, most)
  local over = call('ZRANGEBYSCORE', q.key(s.k, ':x'), '-inf', now, 'LIMIT', 0, most)
  for _, each in ipairs(over) do
    local seq = tonumber(each)
    q.drop(s, seq, q.headerOf(s, seq))
  end
end

-- Those that are due get ready.
function q.wake(s, most)
  local due = call('ZRANGEBYSCORE', q.key(s.k, ':d'), '-inf', q.mono(), 'LIMIT', 0, most)
  if #due == 0 then return end
  call('ZREM', q.key(s.k, ':d'), unpack(due))
  local heads = call('HMGET', q.key(s.k, ':h'), unpack(due))
  local failed = call('HLEN', q.key(s.k, ':f')) > 0 and call('HMGET', q.key(s.k, ':f'), unpack(due)) or {}
  for i, each in ipairs(due) do
    local h = q.parse(q.whole(s, each, heads[i]))
    if h.isUnreadable then q.drop(s, tonumber(each), h) else
      q.offer(s, tonumber(each), h.priority, 0, h.keyed and q.group(s, h.key) or nil)
      if not h.keyed and not failed[i] then s.undue, s.due = s.undue - 1, s.due + 1 end
    end
  end
end

-- Some of what time does: its callers call again.
function q.byTime(s)
  q.expire(s, 100)
  q.wake(s, 300)
end

function q.tell(other, s, kind)
  local said = cjson.encode({ w = kind, q = tonumber(s.k) })
  call('PUBLISH', P .. 'in:' .. other, struct.pack('>I4', #said) .. said)
end

-- Tells the first node that waits for messages that there are some.
function q.callFirst(s)
  for _ = 1, 10 do
    local first = call('ZPOPMIN', q.key(s.k, ':w'))[1]
    if not first or first == node then return end
    if call('ZSCORE', P .. 'nodes', first) then
      call('ZADD', q.key(s.k, ':wc'), now, first)
      return q.tell(first, s, 'ready')
    end
  end
end

-- The figures of a queue, as the mirror takes them: see queue-mirror.ts.
function q.figures(s, stamp)
  local key = s.k
  local waiting, startable = call('ZCARD', q.key(key, ':o')) + s.packed, call('ZCARD', q.key(key, ':r')) + s.packed
  local first, due = unpack(call('ZRANGE', q.key(key, ':d'), 0, 0, 'WITHSCORES'))
  s.news = s.news[first]
  local over = call('ZRANGE', q.key(key, ':x'), 0, 0, 'WITHSCORES')[2]
  local soon = math.min(due and due - q.mono() or 1e15, over and over - now or 1e15)
  local letters = call('XLEN', q.key(key, ':dl'))
  -- An update has lowered its limits.
  local drops = s.o.ov == 'drop-oldest' or s.o.ov == 'dead-letter'
  if letters > s.o.ml or (drops and waiting > 0 and (s.size > s.o.mm or s.bytes > s.o.mb)) then soon = 0 end
  return { tonumber(key), stamp, waiting, s.flight, s.bytes, math.max(startable, startable + s.behind), startable,
    call('ZCARD', q.key(key, ':d')), waiting - s.undue, letters, call('ZCARD', q.key(key, ':p')),
    s.published, s.acked, s.again, s.dropped, s.lost, s.due, math.max(0, soon), s.letter }
end

function q.write(s)
  q.heads(s)
  q.flush(s)
  local key, gone, set = q.key(s.k, ':g'), {}, {}
  for _, g in ipairs(s.grouped) do
    if g.u > 0 and g.p == 0 and g.l ~= DELAYED then
      s.due, s.undue, g.u, g.t = s.due + g.u, s.undue - g.u, 0, s.next - 1
    end
    s.behind = s.behind + q.share(g) - g.was
    if g.n == 0 and g.l == NONE and g.p == 0 then gone[#gone + 1] = g.key else
      set[#set + 1] = g.key
      set[#set + 1] = struct.pack('>BBI4I4d', g.p, g.l, g.n, g.u, g.t)
    end
  end
  for from = 1, #gone, 500 do call('HDEL', key, unpack(gone, from, math.min(from + 499, #gone))) end
  for from = 1, #set, 500 do call('HSET', key, unpack(set, from, math.min(from + 499, #set))) end
  -- Of what could not be read, they were not known.
  if s.size <= 0 then s.bytes, s.wbytes = 0, 0 end
  call('HSET', q.key(s.k, ''), 'c', cmsgpack.pack({ size = s.size, packed = s.packed, next = s.next, letter = s.letter, bytes = s.bytes, wbytes = s.wbytes,
    flight = s.flight, behind = s.behind, undue = s.undue, published = s.published, acked = s.acked, again = s.again,
    dropped = s.dropped, lost = s.lost, due = s.due }))
end

-- At the end of a call: figures are written, others are told to come, and the caller gets the figures of all that it touched.
function q.finish()
  if #q.list == 0 then return nil end
  local all = {}
  q.mono()
  call('HSET', P .. 'meta', 'raw', now, 'back', q.back)
  for _, s in ipairs(q.list) do all[#all + 1] = q.finishSafely(s) end
  return all
end

function q.finishOne(s)
  q.write(s)
  local stamp = call('HINCRBY', P .. 'meta', 'qv', 1)
  call('ZADD', P .. 'qv', stamp, s.k)
  local figures = q.figures(s, stamp)
  -- Those who stand there plan by what is due first.
  if figures[7] > 0 or s.news then q.callFirst(s) end
  if s.o.ov == 'block' then q.passOn(s) end
  return figures
end
`
