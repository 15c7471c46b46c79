import { FORMAT, PRELUDE } from './prelude.ts'
import { QUEUE_BATCHES } from './queue-batches.ts'
import { QUEUE_DAMAGE } from './queue-damage.ts'
import { QUEUE_GROUPS } from './queue-groups.ts'
import { QUEUE_READS } from './queue-reads.ts'
import { QUEUES } from './queues.ts'

export const NODES = `
-- If no node at all has given a sign of life, Redis was away and not they: each has the time again that it had left.
local function grantPause(time, lapseMs)
  local newest = call('ZRANGE', P .. 'nodes', -1, -1, 'WITHSCORES')[2]
  local silence = newest and time + lapseMs - tonumber(newest) or 0
  if silence < lapseMs / 2 then return end
  for _, each in ipairs(call('ZRANGE', P .. 'nodes', 0, -1)) do call('ZINCRBY', P .. 'nodes', text(silence), each) end
end

local function remove(node)
  call('ZREM', P .. 'nodes', node)
  local lessee = call('HGET', P .. 'n:' .. node, 'lessee')
  if lessee then call('SADD', P .. 'lapsed', lessee) end
  call('PEXPIRE', P .. 'n:' .. node, 600000)
end

-- What nodes that gave no sign of life had on lease is to be given to others.
local function removeLapsed(time, node, lapseMs)
  grantPause(time, lapseMs)
  for _, lapsed in ipairs(call('ZRANGEBYSCORE', P .. 'nodes', '-inf', '(' .. text(time))) do
    if lapsed ~= node then remove(lapsed) end
  end
end
`

/**
 * Joins a space, which is made if there is none. Another run of Redis than before may have lost something that was answered: unless it is `lossless`, and
 * also if a node has seen that it did (`hasLost`), a new incarnation begins, once. With more replicas than were waited for, it may have been a failover, which
 * loses what the new primary had not got. `clock, node, name, lapse, new space, run id, lossless, hasLost, replicas waited for, replicas there are, lessee,
 * number of a turn whose outcome is unknown or 0, whether it did not know the time`: if that turn comes late, it does nothing.
 * Gives the space, the last turn of the node, whether it is new, the time, and the replicas of the run before if a new incarnation began, otherwise -1.
 * Refused while the space is being copied (`COPYING`), if it holds an unfinished copy (`UNFINISHED`), and for data of another format (its number).
 */
export const JOIN = `#!lua flags=allow-oom
${PRELUDE}
${NODES}
local node, name, lapseMs, newSpace, run = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
if call('EXISTS', P .. 'copying') == 1 then return { 'COPYING' } end
local copied = call('HMGET', META, 'copySource', 'copyFinished')
if copied[1] and not copied[2] then return { 'UNFINISHED' } end
-- What was copied changes from now on.
call('HDEL', META, 'mark', 'copySource', 'copyStep', 'copyFinished')
if not call('HGET', META, 'space') then
  call('HSET', META, 'format', '${FORMAT}', 'space', newSpace, 'run', run, 'incarnation', 0)
end
local format = call('HGET', META, 'format')
if format ~= '${FORMAT}' then return { format } end
-- The first of all nodes takes the clock as it is.
if ARGV[13] == '1' and call('ZCOUNT', P .. 'nodes', text(clusterTime()), '+inf') == 0 and ahead ~= 0 then
  call('HDEL', META, 'ahead')
  ahead = 0
end
local hadReplicas = -1
if ARGV[8] == '1' or (run ~= '' and call('HGET', META, 'run') ~= run) then
  local had = tonumber(call('HGET', META, 'replicas')) or 0
  local isLossless = ARGV[7] == '1' and tonumber(ARGV[9]) >= had
  if ARGV[8] == '1' or not isLossless then
    call('HINCRBY', META, 'incarnation', 1)
    hadReplicas = had
  end
  call('HSET', META, 'run', run)
end
call('HSET', META, 'replicas', ARGV[10])
local isNew = call('HSETNX', P .. 'n:' .. node, 'name', name)
call('PERSIST', P .. 'n:' .. node)
local time = clusterTime()
removeLapsed(time, node, lapseMs)
call('ZADD', P .. 'nodes', text(time + lapseMs), node)
call('HSET', P .. 'n:' .. node, 'lessee', ARGV[11])
call('SADD', P .. 'lessees', ARGV[11])
local seq = tonumber(call('HGET', P .. 'n:' .. node, 'seq')) or 0
if tonumber(ARGV[12]) > 0 then call('HSET', P .. 'n:' .. node, 'seq', ARGV[12], 'answer', '') end
return { call('HGET', META, 'space'), seq, isNew, time, ahead, hadReplicas }
`

/**
 * Renews the place of a node among the others: gives the time, whether it is not what the caller expects, the incarnation, and, if the time is as expected, who has left
 * leases behind; false if it has lost its place. `clock, node, lapse, replicas there are`.
 */
export const BEAT = `#!lua flags=allow-oom
${PRELUDE}
${NODES}
if call('HGET', META, 'format') ~= '${FORMAT}' or not call('ZSCORE', P .. 'nodes', ARGV[2]) then return false end
local time = clusterTime()
local incarnation = tonumber(call('HGET', META, 'incarnation')) or 0
if isOff then return { time, ahead, 1, incarnation, {} } end
local lapseMs = tonumber(ARGV[3])
if call('HGET', META, 'replicas') ~= ARGV[4] then call('HSET', META, 'replicas', ARGV[4]) end
removeLapsed(time, ARGV[2], lapseMs)
call('ZADD', P .. 'nodes', text(time + lapseMs), ARGV[2])
-- Without it this node leases nothing, and nothing tells: the set was deleted, or what it had before it was away was given to others only after it was back.
local lessee = call('HGET', P .. 'n:' .. ARGV[2], 'lessee')
if lessee and call('SISMEMBER', P .. 'lapsed', lessee) == 0 then call('SADD', P .. 'lessees', lessee) end
return { time, ahead, 0, incarnation, call('SRANDMEMBER', P .. 'lapsed', 10) }
`

/** The time of the cluster, and how far the clock of Redis is ahead of it. */
export const TIME = `#!lua flags=no-writes
${PRELUDE}
return { clusterTime(), ahead }
`

/**
 * The clock of Redis was set: the time of the cluster runs on. Not if another node was faster, nor for a node that was away so long that others took it for gone: its own
 * clock may have stood still. `clock, node`, how far Redis was ahead before, and is now. Gives whether it was set, and then as `TIME`.
 */
export const SET_TIME = `#!lua flags=allow-oom
${PRELUDE}
local isSet = ahead == tonumber(ARGV[3]) and call('ZSCORE', P .. 'nodes', ARGV[2])
if isSet then
  ahead = tonumber(ARGV[4])
  call('HSET', META, 'ahead', text(ahead))
end
return { isSet and 1 or 0, clusterTime(), ahead }
`

/** Removes a node that ends. Should it have kept leases, others return them. `clock, node`. */
export const LEAVE = `#!lua flags=allow-oom
${PRELUDE}
if call('ZREM', P .. 'nodes', ARGV[2]) == 0 then return 0 end
local lessee = call('HGET', P .. 'n:' .. ARGV[2], 'lessee')
if lessee then call('SADD', P .. 'lapsed', lessee) end
call('UNLINK', P .. 'n:' .. ARGV[2])
return 1
`

/** All declarations and the state of all streams, as of a commit. What changes in queues is looked at apart from that. */
export const STATE = `#!lua flags=no-writes
${PRELUDE}
local meta = call('HMGET', META, 'space', 'commit', 'gen', 'incarnation')
local list = {}
local all = call('HGETALL', P .. 'streams')
for at = 1, #all, 2 do
  local record = cjson.decode(all[at + 1])
  local s = stream(text(record.n))
  local values = { record.n }
  for _, name in ipairs(NUMBERS) do values[#values + 1] = s[name] end
  list[#list + 1] = { all[at], record.n, record.o, record.e, values }
end
local queues = {}
all = call('HGETALL', P .. 'queues')
for at = 1, #all, 2 do
  local record = cjson.decode(all[at + 1])
  queues[#queues + 1] = { all[at], record.n, record.o }
end
return cjson.encode({ q = queues, space = meta[1], c = tonumber(meta[2]) or 0, g = tonumber(meta[3]) or 0, n = tonumber(meta[4]) or 0, s = list })
`

/** The first offset of which the message is not older than a time; nothing if all are. `clock, number, time`. */
export const AT_TIME = `#!lua flags=no-writes
${PRELUDE}
local i, wanted = key(ARGV[2], 'i'), tonumber(ARGV[3])
local low, high = 0, call('ZCARD', i)
while low < high do
  local middle = math.floor((low + high) / 2)
  local _, _, _, lastTime = place(call('ZRANGE', i, middle, middle)[1])
  if lastTime < wanted then low = middle + 1 else high = middle end
end
local member = call('ZRANGE', i, low, low)[1]
if not member then return false end
local s = stream(ARGV[2])
local first = place(member)
-- All of a block that cannot be read.
return guarded('stream ' .. s.number, function()
  for _, segment in ipairs(headOf(s.number, first).s) do
    if segment[2] >= wanted then return segment[3][s.name] end
  end
  return false
end) or first
`

/** A cursor, and whether its mark is older than a while. `clock, number, name, while`. */
export const CURSOR = `#!lua flags=no-writes
${PRELUDE}
local value = call('HGET', key(ARGV[2], 'c'), ARGV[3])
if not value then return false end
local offset, usedAt = string.match(value, '^(%d+):(%d+)$')
return { offset, tonumber(usedAt) < now - tonumber(ARGV[4]) and 1 or 0 }
`

/** Looks into queues. `clock`, the name of a read of `QUEUE_READS`, and its arguments. */
export const QUEUE_LOOK = `#!lua flags=no-writes
${PRELUDE}
local reads = {}
${QUEUES}
${QUEUE_GROUPS}
${QUEUE_DAMAGE}
${QUEUE_BATCHES}
${QUEUE_READS}
local a = {}
for n = 3, #ARGV do a[n - 2] = ARGV[n] end
return reads[ARGV[2]](a)
`
