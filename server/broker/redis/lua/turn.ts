import { CHANGES } from './changes.ts'
import { FORMAT, PRELUDE } from './prelude.ts'
import { PUBLISH } from './publish.ts'
import { QUEUE_BATCHES } from './queue-batches.ts'
import { QUEUE_DAMAGE } from './queue-damage.ts'
import { QUEUE_GROUPS } from './queue-groups.ts'
import { QUEUE_LEASING } from './queue-leasing.ts'
import { QUEUE_MOVES } from './queue-moves.ts'
import { QUEUE_OPS } from './queue-ops.ts'
import { QUEUE_PUBLISH } from './queue-publish.ts'
import { QUEUES } from './queues.ts'
import { RETENTION } from './retention.ts'

/** What the ops of a turn share. */
const SHARED = `
local space, node, seq = ARGV[2], ARGV[3], tonumber(ARGV[4])
local ops, declared, messages, bodies = {}, {}, {}, {}
-- Messages that are on lease now: they follow the answer as they are, and are not kept with it.
local leased = {}
local messageTime = now

local commitNumber
local function commit()
  if not commitNumber then commitNumber = call('HINCRBY', META, 'commit', 1) end
  return commitNumber
end

local knownGeneration
local function generation()
  if not knownGeneration then knownGeneration = tonumber(call('HGET', META, 'gen')) or 0 end
  return knownGeneration
end
local function changeGeneration()
  knownGeneration = call('HINCRBY', META, 'gen', 1)
end
`

/** Runs the ops, tells the other nodes, and remembers the answer. */
const RUN = `
local meta = call('HMGET', META, 'space', 'format')
if meta[1] ~= space then return '{"x":"GONE"}' end
if meta[2] ~= '${FORMAT}' then return cjson.encode({ x = 'FORMAT', format = meta[2] }) end
if not call('ZSCORE', P .. 'nodes', node) then return '{"x":"FENCED"}' end
local lastSeq = tonumber(call('HGET', P .. 'n:' .. node, 'seq')) or 0
if seq == lastSeq then return call('HGET', P .. 'n:' .. node, 'answer') end
if seq ~= lastSeq + 1 then return cjson.encode({ x = 'ORDER', last = lastSeq }) end
if isOff then return cjson.encode({ x = 'CLOCK', time = now, ahead = ahead }) end

local results = {}
local at = 5
while ARGV[at] do
  results[#results + 1] = guarded(ARGV[at], ops[ARGV[at]], at + 2) or { x = 'FAILED' }
  at = at + 2 + tonumber(ARGV[at + 1])
end
local changes = {}
saveStreams(changes)
local figures = q.finish()
-- Not all of what it has published is in its queues.
for _, s in ipairs(q.list) do
  if s.isSpoilt and s.hasEntered then results[#results] = { x = 'FAILED' } end
end

local event
if commitNumber or #declared + #messages + #changes > 0 then
  event = { c = commit(), g = generation(), t = messageTime, s = changes, d = declared, m = messages }
  local parts, head
  for _, other in ipairs(call('ZRANGE', P .. 'nodes', 0, -1)) do
    if other ~= node then
      if not head then
        -- A few records follow as they are: put together they would be hashed once more.
        parts = #bodies <= 8 and bodies or { table.concat(bodies) }
        event.b = #parts
        head = cjson.encode(event)
      end
      call('PUBLISH', P .. 'in:' .. other, struct.pack('>I4', #head) .. head)
      for _, part in ipairs(parts) do call('PUBLISH', P .. 'in:' .. other, part) end
    end
  end
end
local answer = cjson.encode({ e = event, r = results, q = figures, u = aside, f = faults, c = commitNumber or tonumber(call('HGET', META, 'commit')) or 0 })
call('HSET', P .. 'n:' .. node, 'seq', seq, 'answer', answer)
if #leased > 0 then return { answer, unpack(leased) } end
return answer
`

const BODY =
  PRELUDE +
  RETENTION +
  SHARED +
  QUEUES +
  QUEUE_GROUPS +
  QUEUE_DAMAGE +
  QUEUE_BATCHES +
  QUEUE_MOVES +
  QUEUE_PUBLISH +
  QUEUE_OPS +
  QUEUE_LEASING +
  PUBLISH +
  CHANGES +
  RUN

/** A turn of a node: `clock, space, node, seq`, then ops: the name of each, how many arguments it has, and those. */
export const TURN = `#!lua\n${BODY}`
/** The same for what needs no room: it runs although the memory of Redis is full. */
export const TURN_WITHOUT_ROOM = `#!lua flags=allow-oom\n${BODY}`
