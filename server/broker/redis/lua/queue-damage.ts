/**
 * What was damaged in Redis, by hand or by a fault: a message, a group or a queue that cannot be read costs itself, and neither the messages after it
 * nor other queues. A header that is lost is made again from the body. A message that is lost is set aside: what is left of it stays in
 * the hash `unreadable`, for an operator, and nothing else knows of it.
 */
export const QUEUE_DAMAGE = String.raw`
local STORED_BYTES = struct.size(STORED)
local LAST = string.rep('\255', 9)
local NO_HEADER = string.rep('\0', STORED_BYTES)
-- Messages that were set aside: the numbers of their queues, and theirs.
local aside = {}

-- A queue, or nil if there is none, or it cannot be read.
function q.read(n)
  local v = redis.pcall('HMGET', q.key(n, ''), 'c', 'o', 'damaged')
  if v.err or not v[1] or not v[2] or v[3] then return nil end
  local isWhole, s, options = pcall(function() return cmsgpack.unpack(v[1]), cmsgpack.unpack(v[2]) end)
  if not isWhole or type(s) ~= 'table' or type(options) ~= 'table' then return nil end
  s.o = options
  return s
end

-- The beginning of a header is checked: what it says of a message that was cut or overwritten is not used.
function q.isReadable(h)
  if not h or #h < STORED_BYTES then return false end
  local flags, priority = string.byte(h, 9, 10)
  return flags <= 3 and priority <= 9
end

function q.unreadable()
  return { isUnreadable = true, time = now, keyed = false, priority = 0, bytes = 0, expires = 1, due = 0, key = '' }
end

-- The header of a message, made from its body: of the default priority, and without a delay.
function q.mend(s, seq)
  local body = call('HGET', q.key(s.k, ':m'), seq)
  local time, scoped, from = string.match(body or '', '^(%d+)\n([01])\n[^\n]*\n[^\n]*\n()')
  if not from or #body < from + 21 then return nil end
  local flags, topic, id, keyBytes, rest, payload = struct.unpack('>BBHHI4I4', body, from)
  local size = 22 + topic + id + keyBytes + rest + payload
  if #body ~= from + size - 1 then return nil end
  local keyed = math.floor(flags / 2) % 2
  local keyAt = from + 22 + id + topic
  local expires = tonumber(call('ZSCORE', q.key(s.k, ':x'), seq) or nil) or 0
  local h = struct.pack(STORED, tonumber(time), keyed + 2 * tonumber(scoped), 4, size, size, expires, 0)
    .. string.sub(body, keyAt, keyAt + keyBytes - 1)
  call('HSET', q.key(s.k, ':h'), seq, h)
  return h
end

-- The header of a message as it is stored, or as it can be made again.
function q.whole(s, seq, h)
  return q.isReadable(h) and h or q.mend(s, seq)
end

-- It is in no line and on no lease: only what is left of it stays.
function q.setAside(s, seq, h)
  local body = call('HGET', q.key(s.k, ':m'), seq) or call('HGET', q.key(s.k, ':h'), seq) or ''
  call('HSET', P .. 'unreadable', s.k .. ':' .. text(seq), body)
  aside[#aside + 1] = { tonumber(s.k), tonumber(seq) }
  q.forget(s, seq, h)
  s.dropped = s.dropped + 1
end

-- A batch that cannot be read is set aside, without a number.
function q.keepAside(s, name, v)
  call('HSET', P .. 'unreadable', s.k .. ':' .. name, v)
  aside[#aside + 1] = { tonumber(s.k), -1 }
end

-- A batch of new ones cannot be read: only its beginning may tell how many messages it had. What that leaves uncounted q.noneNew counts.
function q.dropBatch(s, v)
  local count = math.min(tonumber(string.match(v, '^%d+ (%d+) ') or nil) or 1, math.max(1, s.packed))
  s.size, s.packed, s.dropped = s.size - count, math.max(0, s.packed - count), s.dropped + count
  q.keepAside(s, 'new-' .. text(s.dropped), v)
end

-- Batches of new ones at the head that cannot be read. Gives how many.
function q.dropNew(s)
  local count, key = 0, q.key(s.k, ':n')
  while #aside < 500 do
    local v = call('LINDEX', key, 0)
    if not v or q.batchIn(v) then break end
    call('LPOP', key)
    q.dropBatch(s, v)
    count = count + 1
  end
  return count
end

-- There are no new ones, whatever was counted.
function q.noneNew(s)
  s.size, s.dropped, s.packed = s.size - s.packed, s.dropped + s.packed, 0
end

-- A batch on lease: its messages are set aside when their leases end.
function q.dropLeased(s, first, v)
  call('HDEL', q.key(s.k, ':nl'), first)
  call('HDEL', q.key(s.k, ':nc'), first)
  q.keepAside(s, 'leased-' .. first, v)
end

-- The head of a group cannot be read.
function q.dropHead(s, g, seq, h)
  call('ZREM', q.key(s.k, ':gz'), q.member(g.key, seq))
  if call('ZREM', q.key(s.k, ':o'), seq) == 1 then
    g.n = g.n - 1
    call('ZREM', q.key(s.k, ':x'), seq)
    q.setAside(s, seq, h)
  end
  q.check(s, g)
end

-- Writes one of the queues that a call has touched. A key of another type than it has to be makes the whole queue unreadable, once its figures are not what is stored.
function q.finishSafely(s)
  local figures, fault = guarded('queue ' .. s.k, q.finishOne, s)
  if figures then return figures end
  s.isSpoilt = true
  if string.find(fault, 'WRONGTYPE') then call('HSET', q.key(s.k, ''), 'damaged', fault) end
end

-- What is known of a group is lost, and is counted again.
function q.regroup(s, g)
  local from = struct.pack('>I4', #g.key) .. g.key
  if call('ZSCORE', q.key(s.k, ':p'), g.key) then g.p = 1 end
  for i, member in ipairs(call('ZRANGEBYLEX', q.key(s.k, ':gz'), '[' .. from, '(' .. from .. LAST)) do
    local seq = struct.unpack('>I8', string.sub(member, -8))
    if call('ZSCORE', q.key(s.k, ':o'), seq) then g.n = g.n + 1 elseif i == 1 then g.l = FLIGHT end
    if i == 1 and call('ZSCORE', q.key(s.k, ':r'), seq) then g.l = READY end
    if i == 1 and call('ZSCORE', q.key(s.k, ':d'), seq) then g.l = DELAYED end
  end
  q.check(s, g)
end
`
