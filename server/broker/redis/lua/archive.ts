import { FORMAT, PRELUDE } from './prelude.ts'
import { QUEUE_BATCHES } from './queue-batches.ts'
import { QUEUE_DAMAGE } from './queue-damage.ts'
import { QUEUE_GROUPS } from './queue-groups.ts'
import { QUEUES } from './queues.ts'
import { NODES } from './reads.ts'

// A copy of the whole space, to or from another broker: see `broker/archive.ts`. No node is there meanwhile.

/**
 * Takes the space for a copy, or keeps it. Gives what prevents it, and names: `BUSY` another copy, `LIVE` nodes that are running. Nodes whose time is over are
 * removed, so that they have to join again, which `JOIN` refuses. `clock, holder, milliseconds, a holder that is dead`.
 */
export const HOLD = `#!lua flags=allow-oom
${PRELUDE}
${NODES}
local holder, held = ARGV[2], call('HGET', P .. 'copying', 'holder')
if held and held ~= holder and held ~= ARGV[4] then return { 'BUSY', held } end
local live = call('ZRANGEBYSCORE', P .. 'nodes', text(clusterTime()), '+inf')
if #live > 0 then
  local found = { 'LIVE' }
  for _, node in ipairs(live) do found[#found + 1] = call('HGET', P .. 'n:' .. node, 'name') or node end
  return found
end
for _, lapsed in ipairs(call('ZRANGE', P .. 'nodes', 0, -1)) do remove(lapsed) end
call('HSET', P .. 'copying', 'holder', holder)
call('PEXPIRE', P .. 'copying', ARGV[3])
return { 'HELD' }
`

/**
 * Identifies the space, and its state: a node that joins removes the mark, so that a new one is another state. `clock, holder, new mark`. A space that does not
 * exist has no name.
 */
export const IDENTIFY = `#!lua flags=allow-oom
${PRELUDE}
if call('HGET', P .. 'copying', 'holder') ~= ARGV[2] then return { 'LOST' } end
local space = call('HGET', META, 'space')
if not space then return { 'HELD', '', '' } end
call('HSETNX', META, 'mark', ARGV[3])
return { 'HELD', space, call('HGET', META, 'mark') }
`

/** Releases the space. `clock, holder`. */
export const RELEASE = `#!lua flags=allow-oom
${PRELUDE}
if call('HGET', P .. 'copying', 'holder') == ARGV[2] then call('UNLINK', P .. 'copying') end
return 'OK'
`

const OPS = String.raw`
local steps, a = {}, {}

-- source, new space, run id
steps.begin = function()
  if not call('HGET', META, 'space') then call('HSET', META, 'format', ${FORMAT}, 'space', a[2], 'incarnation', 0) end
  if call('HLEN', P .. 'streams') == 0 then call('HSET', META, 'incarnation', 0) end
  call('HSET', META, 'run', a[3], 'copySource', a[1])
  call('HDEL', META, 'copyFinished')
end

steps.finish = function()
  call('HSET', META, 'copyFinished', 1)
end

-- name, options, canonical options, epoch, maxAge, maxBytes, maxMessages, lastValue, first, next, trimmed, time, from, to
steps.stream = function()
  local number = text(call('HINCRBY', META, 'number', 1))
  local record = { n = tonumber(number), c = a[3], o = a[2], e = a[4] }
  -- Retention looks at it as soon as there is a node.
  call('HSET', P .. 's:' .. number, 'name', a[1], 'maxAge', a[5], 'maxBytes', a[6], 'maxMessages', a[7], 'lastValue', a[8],
    'first', a[9], 'next', a[10], 'trimmed', a[11], 'time', a[12], 'from', a[13], 'to', a[14],
    'bytes', 0, 'entries', 0, 'superseded', 0, 'cursors', 0, 'oldest', 1)
  call('HSET', P .. 'streams', a[1], cjson.encode(record))
  call('HINCRBY', META, 'gen', 1)
  local time = tonumber(call('HGET', META, 'time')) or 0
  if tonumber(a[12]) > time then call('HSET', META, 'time', a[12]) end
end

local function numberOf(kind, name)
  return text(cjson.decode(call('HGET', P .. kind, name)).n)
end

local function put(hash, at)
  if not a[at] then return end
  call('HSET', hash, unpack(a, at))
end

-- name; of each block its member, last offset, messages, head and records
steps.blocks = function()
  local s = P .. 's:' .. numberOf('streams', a[1])
  for at = 2, #a, 5 do
    local first = string.match(a[at], '^%d+')
    call('ZADD', s .. ':i', a[at + 1], a[at])
    call('HSET', s .. ':b', first, a[at + 4], 'h' .. first, a[at + 3])
    call('HINCRBY', s, 'bytes', #a[at + 3] + #a[at + 4])
    call('HINCRBY', s, 'entries', a[at + 2])
  end
end

-- name; topics with their newest offsets
steps.topics = function() put(P .. 's:' .. numberOf('streams', a[1]) .. ':t', 2) end
-- name; values with their offsets
steps.values = function() put(P .. 's:' .. numberOf('streams', a[1]) .. ':v', 2) end
-- name; cursors with their offsets and times
steps.cursors = function()
  local s = P .. 's:' .. numberOf('streams', a[1])
  put(s .. ':c', 2)
  call('HINCRBY', s, 'cursors', (#a - 1) / 2)
end

-- name, canonical options, options, next number, next letter
steps.queue = function()
  local record = { n = call('HINCRBY', META, 'number', 1), c = a[2], o = a[3] }
  q.declare(text(record.n), a[3])
  local s = q.load(text(record.n))
  s.next, s.letter = tonumber(a[4]), tonumber(a[5])
  call('HSET', P .. 'queues', a[1], cjson.encode(record))
  call('HINCRBY', META, 'gen', 1)
end

-- name; keys of groups
steps.parked = function()
  local s = q.load(numberOf('queues', a[1]))
  for at = 2, #a do q.park(s, a[at]) end
end

-- name; of each message its number, header, body, and failure or ''
steps.waiting = function()
  local s = q.load(numberOf('queues', a[1]))
  q.mono()
  for at = 2, #a, 4 do q.restore(s, tonumber(a[at]), a[at + 1], a[at + 2], a[at + 3]) end
end

-- name; of each dead letter its number, note, header and body
steps.letters = function()
  local s = q.load(numberOf('queues', a[1]))
  for at = 2, #a, 4 do
    call('XADD', q.key(s.k, ':dl'), string.format('%d-0', a[at] + 1), 'n', a[at + 1], 'h', a[at + 2], 'm', a[at + 3])
  end
end

-- of each chapter its time and the number of its ids; then of each id itself and its places, with names
steps.ids = function()
  local at, numbers = 1, { s = {}, q = {} }
  local function placed(kind, name, offset)
    local table = kind == 's' and 'streams' or 'queues'
    numbers[kind][name] = numbers[kind][name] or numberOf(table, name)
    return kind .. numbers[kind][name] .. '=' .. offset
  end
  while a[at] do
    local time, count, commit = a[at], tonumber(a[at + 1]), text(call('HINCRBY', META, 'commit', 1))
    local chapter, set = { time, commit }, {}
    for n = at + 2, at + 1 + 2 * count, 2 do
      chapter[#chapter + 1] = a[n]
      set[#set + 1] = a[n]
      set[#set + 1] = time .. ':' .. commit .. ':' .. string.gsub(a[n + 1], '([sq])([^=,]+)=(%d+)', placed)
    end
    call('HSET', P .. 'ids', unpack(set))
    call('RPUSH', P .. 'ids:l', table.concat(chapter, '\n') .. '\n')
    at = at + 2 + 2 * count
  end
end

-- A message comes back with its number, time, and failure. Numbers ascend, and groups that are parked are so already.
function q.restore(s, seq, header, body, failure)
  local h = q.parse(header)
  local due = h.due
  if failure ~= '' then
    local attempts, at, said, rest = struct.unpack('>I4dB', failure)
    due = at + q.back
    failure = struct.pack('>I4dB', attempts, due, said) .. string.sub(failure, rest)
    call('HSET', q.key(s.k, ':f'), seq, failure)
  elseif due > 0 and q.back > 0 then
    due = due + q.back
    local time, flags = struct.unpack('>dB', header)
    header = struct.pack(STORED, time, flags, h.priority, h.bytes, h.size, h.expires, due) .. h.key
  end
  s.size, s.bytes, s.wbytes = s.size + 1, s.bytes + h.bytes, s.wbytes + h.bytes
  local n, member = s.added, text(seq)
  s.zo[n + 1], s.zo[n + 2] = member, member
  s.h[n + 1], s.h[n + 2] = member, header
  s.m[n + 1], s.m[n + 2] = member, body
  s.added = n + 2
  if h.expires > 0 then call('ZADD', q.key(s.k, ':x'), h.expires, seq) end
  if not h.keyed then
    if not q.offer(s, seq, h.priority, due) and failure == '' then s.undue = s.undue + 1 end
  else
    local g = q.group(s, h.key)
    g.n = g.n + 1
    if seq > g.t then g.u, s.undue = g.u + 1, s.undue + 1 end
    s.gz[#s.gz + 1] = 0
    s.gz[#s.gz + 1] = q.member(h.key, seq)
    if g.p == 0 and g.l == NONE then q.offer(s, seq, h.priority, due, g) end
  end
  if s.added >= 1000 then q.flush(s) end
end
`

/**
 * One step of writing a copy. `clock, holder, step`, then ops: the name of each, how many arguments it has, and those. Gives `LOST` if the space is not held
 * any more, and `STEP` if this step does not follow the last one.
 */
export const COPY_STEP = `#!lua
${PRELUDE}
local node = ''
${QUEUES}
${QUEUE_GROUPS}
${QUEUE_DAMAGE}
${QUEUE_BATCHES}
${OPS}
if call('HGET', P .. 'copying', 'holder') ~= ARGV[2] then return 'LOST' end
local step = tonumber(ARGV[3])
if step > 0 and tonumber(call('HGET', META, 'copyStep') or -1) ~= step - 1 then return 'STEP' end
local at = 4
while ARGV[at] do
  local count = tonumber(ARGV[at + 1])
  a = {}
  for n = 1, count do a[n] = ARGV[at + 1 + n] end
  steps[ARGV[at]]()
  at = at + 2 + count
end
q.finish()
call('HSET', META, 'copyStep', step)
return 'OK'
`

/** What is known of a copy into the space: its source, steps, and whether it is finished. */
export const COPY_STATE = `#!lua flags=no-writes
${PRELUDE}
return call('HMGET', META, 'copySource', 'copyStep', 'copyFinished')
`

/** The next numbers of a queue. `clock, number`. */
export const QUEUE_NUMBERS = `#!lua flags=no-writes
${PRELUDE}
${QUEUES}
${QUEUE_GROUPS}
${QUEUE_DAMAGE}
${QUEUE_BATCHES}
local s = q.load(ARGV[2])
q.mono()
return { s.next, s.letter, text(q.back) }
`

/**
 * New messages of a queue, up to about this many bytes, from a place among the batches on: how many batches, then number, header and body of each message. A
 * batch that cannot be read is a message without these. `clock, number, place, bytes`.
 */
export const NEW_MESSAGES = `#!lua flags=no-writes
${PRELUDE}
${QUEUES}
${QUEUE_BATCHES}
local found, left, at = { 0 }, tonumber(ARGV[4]), tonumber(ARGV[3])
while left > 0 do
  local v = call('LINDEX', q.key(ARGV[2], ':n'), at)
  if not v then break end
  local b = q.batchIn(v)
  for n = 1, b and b.count or 1 do
    local header, body = '', ''
    if b then header, body = q.partsAt(b, n) end
    for _, each in ipairs({ b and text(b.first + n - 1) or '0', header, body }) do found[#found + 1] = each end
  end
  left, at, found[1] = left - #v, at + 1, found[1] + 1
end
return found
`

/** Messages of a queue, up to about this many bytes; header, body and failure of each. `clock, number, bytes, seqs…`. */
export const QUEUE_MESSAGES = `#!lua flags=no-writes
${PRELUDE}
${QUEUES}
${QUEUE_GROUPS}
${QUEUE_DAMAGE}
${QUEUE_BATCHES}
function q.dropLeased() end
local s, found, left = { k = ARGV[2], batches = {} }, {}, tonumber(ARGV[3])
for at = 4, #ARGV do
  if left <= 0 then break end
  local header, body = call('HGET', q.key(ARGV[2], ':h'), ARGV[at]), call('HGET', q.key(ARGV[2], ':m'), ARGV[at])
  local b = not header and q.leasedBatch(s, tonumber(ARGV[at]))
  if b then header, body = q.partsAt(b, tonumber(ARGV[at]) - b.first + 1) end
  left = left - #(body or '')
  found[#found + 1] = header or ''
  found[#found + 1] = body or ''
  found[#found + 1] = call('HGET', q.key(ARGV[2], ':f'), ARGV[at]) or ''
end
return found
`
