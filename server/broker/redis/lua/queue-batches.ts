import { BATCH_MESSAGES } from '../costs.ts'

/**
 * Batches: plain messages that no consumer has had, as they were published together. They wait in a list (`:n`), in the order of the numbers, and most are
 * leased and acked in that order: a batch at a time costs much less than each message by itself. A lease that wants fewer cuts the batch in pieces. On lease it
 * is still a batch (`:nl`, by its first number), until all of its messages are released (`:nc` counts them). A message that takes any other way than to its
 * ack is taken apart, into header and body, like those that were never in a batch.
 *
 * A batch has a line of numbers: its first one, how many messages, the first one of when it was published, when that was, bytes in the queue, length of the
 * ids, length of the records; a line of the streams that captured it, with the offset of the first one then; since when it is here; and attributes, ids (a line
 * each, or nothing if all are the hub's) and records of all, back to back. See `queue-batch.ts`.
 */
export const QUEUE_BATCHES = String.raw`
local BATCH_MESSAGES = ${BATCH_MESSAGES}
local BATCH_HEAD = '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)\n([^\n]*)\n()'

-- A batch as it is stored; nil if it cannot be read.
function q.batchIn(v)
  local first, count, origin, time, bytes, ids, records, offsets, at = string.match(v, BATCH_HEAD)
  local b = { v = v, first = tonumber(first), count = tonumber(count), origin = tonumber(origin), time = time, bytes = tonumber(bytes),
    ids = tonumber(ids), records = tonumber(records), offsets = offsets, at = at }
  if not first or b.count < 1 or b.count > BATCH_MESSAGES then return nil end
  b.attributesAt = at + #NOW
  b.idsAt = b.attributesAt + b.count * ATTRIBUTES
  b.recordsAt = b.idsAt + b.ids
  if #v ~= b.recordsAt + b.records - 1 then return nil end
  return b
end

local function batchOf(first, count, origin, time, bytes, offsets, entered, attributes, ids, records)
  return table.concat({ text(first), ' ', text(count), ' ', text(origin), ' ', time, ' ', text(bytes), ' ', text(#ids), ' ', text(#records), '\n',
    offsets, '\n', entered, attributes, ids, records })
end

-- Finds where the id and the record of each message begin, and where the last ones end; and the bytes of each message in the queue.
function q.index(b)
  if b.recordAt then return end
  local idAt, recordAt, bytes, id, record = {}, {}, {}, b.idsAt, b.recordsAt
  for n = 1, b.count do
    local _, _, size, length = struct.unpack(RECORD, b.v, b.attributesAt + (n - 1) * ATTRIBUTES)
    idAt[n], recordAt[n], bytes[n] = id, record, size
    if b.ids > 0 then id = (string.find(b.v, '\n', id, true) or id) + 1 end
    record = record + length
  end
  idAt[b.count + 1], recordAt[b.count + 1] = id, record
  b.idAt, b.recordAt, b.size = idAt, recordAt, bytes
end

function q.identityAt(b, n)
  q.index(b)
  return b.ids > 0 and string.sub(b.v, b.idAt[n], b.idAt[n + 1] - 2) or ''
end

-- Header and body of one message of a batch.
function q.partsAt(b, n)
  q.index(b)
  local at = b.attributesAt + (n - 1) * ATTRIBUTES
  local offsets = string.gsub(b.offsets, '":(%d+)', function(base) return '":' .. text(base + b.first + n - 1 - b.origin) end)
  local header = string.sub(b.v, b.at, b.attributesAt - 1) .. string.sub(b.v, at, at + ATTRIBUTES - 1)
  local scoped = string.byte(header, #NOW + 1) >= 2 and '\n1\n' or '\n0\n'
  return header, b.time .. scoped .. offsets .. '\n' .. q.identityAt(b, n) .. '\n' .. string.sub(b.v, b.recordAt[n], b.recordAt[n + 1] - 1)
end

-- Some messages of a batch, from one on, as a batch as it is stored.
local function piece(b, from, count)
  local behind, bytes = from + count, 0
  for n = from, behind - 1 do bytes = bytes + b.size[n] end
  local function attributesAt(n) return b.attributesAt + (n - 1) * ATTRIBUTES end
  return batchOf(b.first + from - 1, count, b.origin, b.time, bytes, b.offsets, string.sub(b.v, b.at, b.attributesAt - 1),
    string.sub(b.v, attributesAt(from), attributesAt(behind) - 1), string.sub(b.v, b.idAt[from], b.idAt[behind] - 1),
    string.sub(b.v, b.recordAt[from], b.recordAt[behind] - 1))
end

-- Cuts a batch into pieces of that many messages. The next leases probably want as many, and each message is written once more only.
function q.cut(b, count)
  q.index(b)
  local pieces = {}
  for from = 1, b.count, count do pieces[#pieces + 1] = piece(b, from, math.min(count, b.count - from + 1)) end
  return pieces
end

-- How many messages of a batch a lease takes: the last one may exceed the bytes.
function q.fitting(b, count, bytes)
  if b.count <= count and b.bytes <= bytes then return b.count end
  q.index(b)
  local taken, sum = 0, 0
  while taken < b.count and taken < count and sum < bytes do
    taken = taken + 1
    sum = sum + b.size[taken]
  end
  return taken
end

-- The first of the new ones.
function q.firstNew(s)
  local v = call('LINDEX', q.key(s.k, ':n'), 0)
  if not v then
    q.noneNew(s)
    return nil
  end
  return q.batchIn(v) or (q.dropNew(s) > 0 and q.firstNew(s) or nil)
end

-- The first batch becomes messages like the others.
function q.takeNewApart(s, b)
  call('LPOP', q.key(s.k, ':n'))
  s.packed = s.packed - b.count
  local headers, bodies, waiting, ready = {}, {}, {}, {}
  for n = 1, b.count do
    local member, at = text(b.first + n - 1), 2 * n - 1
    headers[at], bodies[at], waiting[at], ready[at] = member, member, member, text(PLAIN + b.first + n - 1)
    headers[at + 1], bodies[at + 1] = q.partsAt(b, n)
    waiting[at + 1], ready[at + 1] = member, member
  end
  call('HSET', q.key(s.k, ':h'), unpack(headers))
  call('HSET', q.key(s.k, ':m'), unpack(bodies))
  call('ZADD', q.key(s.k, ':o'), unpack(waiting))
  call('ZADD', q.key(s.k, ':r'), unpack(ready))
end

-- The batch on lease that has a message; nothing if there is none.
function q.leasedBatch(s, seq)
  local fields = {}
  for first = seq, math.max(0, seq - BATCH_MESSAGES + 1), -1 do
    local b = s.batches[first]
    if b and seq < first + b.count then return b end
    fields[#fields + 1] = text(first)
  end
  for at, v in ipairs(call('HMGET', q.key(s.k, ':nl'), unpack(fields))) do
    if v then
      local b = q.batchIn(v)
      if not b then q.dropLeased(s, fields[at], v) end
      if not b or seq >= b.first + b.count then return nil end
      s.batches[b.first] = b
      return b
    end
  end
end

-- Some messages of a batch on lease have left it. Nothing stays of it once all have.
function q.leftBatch(s, first, count, left)
  if left < count then left = call('HINCRBY', q.key(s.k, ':nc'), first, left) end
  if left ~= count then return end
  call('HDEL', q.key(s.k, ':nl'), first)
  call('HDEL', q.key(s.k, ':nc'), first)
end

-- The header of a message of a batch on lease, which leaves the batch; nothing if it is in none.
function q.takeApart(s, seq)
  local number = tonumber(seq)
  local b = q.leasedBatch(s, number)
  if not b then return nil end
  local header, body = q.partsAt(b, number - b.first + 1)
  call('HSET', q.key(s.k, ':h'), seq, header)
  call('HSET', q.key(s.k, ':m'), seq, body)
  q.leftBatch(s, text(b.first), b.count, 1)
  return header
end
`
