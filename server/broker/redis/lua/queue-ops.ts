import { BACK_AT_ONCE, PURGED_AT_ONCE } from '../costs.ts'

/** The ops of queues. Each makes its checks before its first write. */
export const QUEUE_OPS = `
local function argumentsAt(at)
  local a = {}
  for n = 1, tonumber(ARGV[at - 1]) do a[n] = ARGV[at + n - 1] end
  return a
end

-- name, canonical options, options, whether to replace others
ops.declareQueue = function(at)
  local name, canonical, options = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local existing = call('HGET', P .. 'queues', name)
  local record
  if existing then
    record = cjson.decode(existing)
    if record.c == canonical then return {} end
    if ARGV[at + 3] ~= '1' then return { x = 'EXISTS', o = record.o } end
    record.c, record.o = canonical, options
  else record = { n = call('HINCRBY', META, 'number', 1), c = canonical, o = options } end
  q.declare(text(record.n), options)
  call('HSET', P .. 'queues', name, cjson.encode(record))
  changeGeneration()
  declared[#declared + 1] = { 'queue', name, record.n, options, '' }
  return {}
end

ops.deleteQueue = function(at)
  local name = ARGV[at]
  local existing = call('HGET', P .. 'queues', name)
  if not existing then return { x = 'GONE' } end
  local number = text(cjson.decode(existing).n)
  call('HDEL', P .. 'queues', name)
  q.remove(number)
  changeGeneration()
  declared[#declared + 1] = { '-queue', name, tonumber(number) }
  return {}
end

-- number, lessee, how many of them are in batches, the bytes of those, how many batches, of each its first number, how many it has and how many of them these
-- are; seqs…: acks, the most of all. Gives the seqs whose lease is not held.
ops.qack = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  local lost, held = {}, {}
  local key = s and q.key(s.k, ':l:' .. a[2])
  local packed, bytes, batches = tonumber(a[3]), tonumber(a[4]), tonumber(a[5])
  local seqs = { unpack(a, 6 + 3 * batches) }
  local flags = s and call('SMISMEMBER', key, unpack(seqs)) or {}
  local once = {}
  for i, seq in ipairs(seqs) do
    if flags[i] == 1 and not once[seq] then
      once[seq] = true
      held[#held + 1] = seq
    else lost[#lost + 1] = tonumber(seq) end
  end
  if #held == 0 then return lost end
  call('SREM', key, unpack(held))
  s.size, s.flight, s.acked = s.size - #held, s.flight - #held, s.acked + #held
  -- What the bytes of those are that are held is not known then.
  if #lost > 0 then packed = 0 end
  if packed > 0 then
    for at = 6, 3 + 3 * batches, 3 do q.leftBatch(s, a[at], tonumber(a[at + 1]), tonumber(a[at + 2])) end
    s.bytes = s.bytes - bytes
  end
  if #held > packed then q.endParts(s, { unpack(held, packed + 1) }) end
  return lost
end

-- Of those that were acked, in no batch, nothing stays.
function q.endParts(s, seqs)
  local heads, keys, members = call('HMGET', q.key(s.k, ':h'), unpack(seqs)), {}, {}
  for i, seq in ipairs(seqs) do
    local h = q.whole(s, seq, heads[i] or q.takeApart(s, seq))
    local _, flags, _, bytes, _, _, _, keyAt = struct.unpack(STORED, h or NO_HEADER)
    s.bytes = s.bytes - bytes
    if flags % 2 == 1 then
      keys[#keys + 1] = string.sub(h, keyAt)
      members[#members + 1] = q.member(keys[#keys], tonumber(seq))
    end
  end
  call('HDEL', q.key(s.k, ':h'), unpack(seqs))
  call('HDEL', q.key(s.k, ':m'), unpack(seqs))
  if call('HLEN', q.key(s.k, ':f')) > 0 then call('HDEL', q.key(s.k, ':f'), unpack(seqs)) end
  if #keys > 0 then
    call('ZREM', q.key(s.k, ':gz'), unpack(members))
    q.expectGroups(s, keys)
    for _, each in ipairs(keys) do
      local g = q.group(s, each)
      g.l = NONE
      q.check(s, g)
    end
  end
  q.heads(s)
end

-- An ending.
ops.qend = function(at)
  local a = argumentsAt(at)
  local e = q.ending(a, 1)
  if not q.canEnd(e) then return { x = 'LOST' } end
  q.doEnd(e)
  return {}
end

-- number, lessee, seqs…: ends those leases that are held. Gives an empty answer.
function q.endHeld(at, act)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return {} end
  for i = 3, #a do
    local seq = tonumber(a[i])
    if q.isHeld(s, a[2], seq) then
      local h = q.headerOf(s, seq)
      q.release(s, a[2], seq, h)
      act(s, seq, h)
    end
  end
  q.heads(s)
  return {}
end

-- What the lease has brought cannot be read.
ops.qaside = function(at)
  return q.endHeld(at, q.setAside)
end

-- Returns messages that no client has tried.
ops.qback = function(at)
  return q.endHeld(at, function(s, seq, h) q.putBack(s, seq, h, 0) end)
end

-- number, lessee, seqs…: these are all that it has. Others that were leased to it, unknown to it, go back, some in a call: gives how many did.
ops.qkeep = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return {} end
  local has, back, lease = {}, 0, q.key(s.k, ':l:' .. a[2])
  for i = 3, #a do has[a[i]] = true end
  for _, each in ipairs(#a < 3 and call('SRANDMEMBER', lease, ${BACK_AT_ONCE}) or call('SMEMBERS', lease)) do
    if back == ${BACK_AT_ONCE} then break end
    if not has[each] then
      back = back + 1
      local seq = tonumber(each)
      local h = q.headerOf(s, seq)
      q.release(s, a[2], seq, h)
      q.putBack(s, seq, h, 0)
    end
  end
  q.heads(s)
  return { back }
end

-- number: what time does to it.
ops.qtime = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return {} end
  q.byTime(s)
  q.trimLetters(s)
  q.makeRoom(s, 0, 0, 100)
  return {}
end

-- Discards some of the new ones before a number: gives how many.
function q.purgeNew(s, to)
  local dropped, bytes = s.dropped, s.bytes
  while s.dropped - dropped < 200 and bytes - s.bytes < 100000 do
    local b = q.firstNew(s)
    if not b or b.first >= to then break end
    call('LPOP', q.key(s.k, ':n'))
    for n = 1, b.count do q.movedId(q.identityAt(b, n), 'q' .. s.k .. '=' .. text(b.first + n - 1)) end
    s.size, s.packed, s.dropped = s.size - b.count, s.packed - b.count, s.dropped + b.count
    s.bytes, s.wbytes = s.bytes - b.bytes, s.wbytes - b.bytes
  end
  return s.dropped - dropped
end

-- number, up to: discards some waiting messages with lower numbers. Returns their count and the next number of the queue.
ops.qpurge = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return { x = 'GONE' } end
  local to = tonumber(a[2]) or s.next
  local new = q.purgeNew(s, to)
  if new > 0 then return { new, to } end
  local seqs = call('ZRANGEBYSCORE', q.key(s.k, ':o'), '-inf', to - 1, 'LIMIT', 0, ${PURGED_AT_ONCE})
  for _, each in ipairs(seqs) do
    local seq = tonumber(each)
    local h = q.headerOf(s, seq)
    q.moved(call('HGET', q.key(s.k, ':m'), seq), 'q' .. s.k .. '=' .. each)
    q.takeOut(s, seq, h)
    if h.isUnreadable then q.setAside(s, seq, h) else
      q.forget(s, seq, h)
      s.dropped = s.dropped + 1
    end
  end
  return { #seqs, to }
end

-- number: nothing of this node waits for room in it now.
ops.qpass = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return {} end
  call('ZREM', q.key(s.k, ':rw'), node)
  s.calls = true
  return {}
end

-- number, key
ops.qunpark = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return { x = 'GONE' } end
  if not call('ZSCORE', q.key(s.k, ':p'), a[2]) then return { x = 'NOGROUP' } end
  call('ZREM', q.key(s.k, ':p'), a[2])
  local g = q.group(s, a[2])
  g.p = 0
  q.check(s, g)
  q.heads(s)
  return {}
end

-- number, letters…: deletes dead letters. Gives how many there were.
ops.qletters = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  if not s then return { x = 'GONE' } end
  local key, count = q.key(s.k, ':dl'), 0
  for i = 2, #a do
    local id = string.format('%d-0', a[i] + 1)
    local found = call('XRANGE', key, id, id)[1]
    if found then
      local v = q.letter(found)
      q.moved(v.m, string.format('q%s=%d', s.k, v.note.seq))
      call('XDEL', key, id)
      count = count + 1
    end
  end
  if count > 0 and call('XLEN', key) == 0 then call('UNLINK', key) end
  return { count }
end

function q.letter(found)
  local v = {}
  for i = 1, #found[2], 2 do v[found[2][i]] = found[2][i + 1] end
  v.note = cjson.decode(v.n)
  return v
end

-- number, to, then letter, attributes and body of each: moves dead letters into a queue, all that are there or none.
ops.qredrive = function(at)
  local a = argumentsAt(at)
  local s, to = q.load(a[1]), q.load(a[2])
  if not s or not to then return { x = 'GONE' } end
  local key, moving, bytes, once = q.key(s.k, ':dl'), {}, 0, {}
  for i = 3, #a, 3 do
    local id = string.format('%d-0', a[i] + 1)
    local found = not once[id] and call('XRANGE', key, id, id)[1]
    once[id] = true
    if found then
      local _, _, size = struct.unpack(HEAD, a[i + 1])
      moving[#moving + 1] = { id, q.letter(found), a[i + 1], a[i + 2] }
      bytes = bytes + size
    end
  end
  if #moving > 0 and (to.size + #moving > to.o.mm or to.bytes + bytes > to.o.mb) then return { x = 'LIMIT' } end
  for _, each in ipairs(moving) do
    local seq = q.enter(to, each[3], each[4])
    q.moved(each[4], string.format('q%s=%d', s.k, each[2].note.seq), string.format('q%s=%d', to.k, seq))
    call('XDEL', key, each[1])
  end
  if #moving > 0 and call('XLEN', key) == 0 then call('UNLINK', key) end
  return { #moving }
end

-- lessee: some of the leases that it left, with their attempts so far. None: it is done with.
ops.qlapsed = function(at)
  local a = argumentsAt(at)
  local found = {}
  for _, n in ipairs(call('SRANDMEMBER', P .. 'l:' .. a[1], 100)) do
    local seqs = call('SRANDMEMBER', q.key(n, ':l:' .. a[1]), 500 - #found)
    if #seqs == 0 then call('SREM', P .. 'l:' .. a[1], n) end
    for _, seq in ipairs(seqs) do
      local f = q.readFailure(call('HGET', q.key(n, ':f'), seq))
      found[#found + 1] = { tonumber(n), tonumber(seq), f and f.attempts or 0 }
    end
    if #found >= 500 then break end
  end
  local done = #found == 0 and call('SCARD', P .. 'l:' .. a[1]) == 0
  if done then
    call('SREM', P .. 'lapsed', a[1])
    call('SREM', P .. 'lessees', a[1])
  end
  return { done, found }
end
`
