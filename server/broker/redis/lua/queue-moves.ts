/** Who finds room in a queue, and what becomes of a message when its lease ends. */
export const QUEUE_MOVES = String.raw`
-- Room

-- What of this has no room, in order: a list of { place, ack, 'none' | 'wait', number of the queue }. Nothing is changed but
-- that this node is called where it waits.
function q.withoutRoom(units)
  local more, blocked, refused = {}, {}, {}
  for _, unit in ipairs(units) do
    local verdict, where = nil, nil
    for _, need in ipairs(unit.needs) do
      local s, m = q.load(need.n), more[need.n] or { 0, 0 }
      local found = s and q.roomFor(s, need, m, blocked[need.n])
      if found and verdict ~= 'none' then verdict, where = found, need.n end
    end
    if verdict then
      refused[#refused + 1] = { unit.place or 0, unit.ack or 0, verdict, tonumber(where) }
      if verdict == 'wait' then q.waitsFor(unit, blocked) end
    else
      for _, need in ipairs(unit.needs) do
        local m = more[need.n] or { 0, 0 }
        more[need.n] = { m[1] + need.messages, m[2] + need.bytes }
      end
    end
  end
  return refused
end

-- Nothing if there is room, or it can be made. m: what comes in before.
function q.roomFor(s, need, m, isBlocked)
  if s.o.ov == 'drop-oldest' or s.o.ov == 'dead-letter' then
    -- All that waits can make room, and what is in flight never does.
    local hasNone = s.flight + need.messages > s.o.mm or s.bytes - s.wbytes + need.bytes > s.o.mb
    return hasNone and 'none' or nil
  end
  local fits = s.size + m[1] + need.messages <= s.o.mm and s.bytes + m[2] + need.bytes <= s.o.mb
  if s.o.ov ~= 'block' then return not fits and 'none' or nil end
  local isLate = fits and not isBlocked and q.isLate(s)
  if fits and not isBlocked and not isLate then return nil end
  if isLate then s.calls = true end
  return need.bytes <= s.o.mb and 'wait' or 'none'
end

-- Nodes whose publishes wait for room stand in line (:rw), each with the time since when; the first one publishes before the others.
function q.firstInLine(s)
  local key = q.key(s.k, ':rw')
  while true do
    local first = call('ZRANGE', key, 0, 0)[1]
    if not first or call('ZSCORE', P .. 'nodes', first) then return first end
    call('ZREM', key, first)
  end
end

function q.isLate(s)
  local first = q.firstInLine(s)
  return first ~= nil and first ~= node
end

-- What comes later must not overtake it. This node gets the same time in all lines of the unit: two nodes would otherwise wait for each
-- other if each is the first in one of them.
function q.waitsFor(unit, blocked)
  local lines, since = {}, 0
  for _, need in ipairs(unit.needs) do
    local s = q.load(need.n)
    if s and s.o.ov == 'block' and not unit.ack and not blocked[need.n] then
      local line = q.key(need.n, ':rw')
      lines[#lines + 1] = line
      since = math.max(since, tonumber(call('ZSCORE', line, node) or now))
      blocked[need.n] = true
    end
  end
  for _, line in ipairs(lines) do call('ZADD', line, since, node) end
end

-- At the end of a call: the node that is first in line may find room now. One that has published goes to the end of the line.
function q.passOn(s)
  local isLess = s.size < s.size0 or s.bytes < s.bytes0
  if s.hasEntered then call('ZADD', q.key(s.k, ':rw'), 'XX', now, node) end
  if not (isLess or s.hasEntered or s.calls) or s.size >= s.o.mm or s.bytes >= s.o.mb then return end
  local first = q.firstInLine(s)
  -- This node knows from the answer.
  if first and first ~= node then q.tell(first, s, 'room') end
end

-- The limits of a queue in this call. If an update has lowered them by much, it gets there step by step, and takes what comes meanwhile.
function q.limits(s)
  if not s.maxMessages then
    local isMuch = s.size0 - s.o.mm > 100 or (s.bytes0 - s.o.mb) * s.size0 > 100 * s.bytes0
    s.maxMessages, s.maxBytes = s.o.mm, s.o.mb
    if isMuch then
      s.maxMessages = math.max(s.o.mm, s.size0 - 100)
      s.maxBytes = math.max(s.o.mb, s.bytes0 * (1 - 100 / s.size0))
    end
  end
  return s.maxMessages, s.maxBytes
end

-- Takes messages from the head, until there is room or most have gone. Tells whether there is room.
function q.makeRoom(s, messages, bytes, most)
  if s.o.ov ~= 'drop-oldest' and s.o.ov ~= 'dead-letter' then return true end
  local maxMessages, maxBytes = q.limits(s)
  while s.size + messages > maxMessages or s.bytes + bytes > maxBytes do
    if most <= 0 then return false end
    local seq = q.oldest(s)
    if not seq then return true end
    local h = q.headerOf(s, seq)
    q.takeOut(s, seq, h)
    if s.o.ov == 'dead-letter' then q.bury(s, seq, h, 'overflow') else
      q.forget(s, seq, h)
      s.dropped = s.dropped + 1
    end
    most = most - 1
  end
  return true
end

-- Endings

-- An ending: number, lessee ('' for one that waits), seq, kind ('ack', 'retry', 'dead'), attempts, delay or reason, whether
-- there is an error, the error.
q.FIELDS = 8
function q.ending(a, at)
  return { n = a[at], lessee = a[at + 1], seq = tonumber(a[at + 2]), kind = a[at + 3], attempts = tonumber(a[at + 4]),
    how = a[at + 5], error = a[at + 6] == '1' and a[at + 7] or nil }
end

-- Whether it can end: its lease is held, or it waits.
function q.canEnd(e)
  local s = q.load(e.n)
  if not s then return false end
  if e.lessee ~= '' then return q.isHeld(s, e.lessee, e.seq) end
  q.flush(s)
  return call('ZSCORE', q.key(s.k, ':o'), e.seq) ~= false
end

function q.doEnd(e)
  local s = q.load(e.n)
  local h = q.headerOf(s, e.seq)
  if e.lessee == '' then
    q.heads(s)
    q.takeOut(s, e.seq, h)
  else q.release(s, e.lessee, e.seq, h) end
  if e.kind == 'ack' then
    q.forget(s, e.seq, h)
    s.acked = s.acked + 1
  elseif e.kind == 'dead' then q.bury(s, e.seq, h, e.how, e.attempts, e.error)
  else
    local due = q.mono() + tonumber(e.how)
    call('HSET', q.key(s.k, ':f'), e.seq,
      struct.pack('>I4dB', e.attempts, due, e.error and 1 or 0) .. (e.error or ''))
    q.putBack(s, e.seq, h, due)
  end
  q.heads(s)
end

-- The ids of messages that have gone to another place, or are gone: 'to' is nil then.
function q.moved(body, from, to)
  q.movedId(body and string.match(body, '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)'), from, to)
end

function q.movedId(identity, from, to)
  local v = identity and identity ~= '' and call('HGET', P .. 'ids', identity)
  if not v then return end
  local head, places = string.match(v, '^([^:]*:[^:]*:)(.*)$')
  local left, found = {}, false
  for place in string.gmatch(places, '[^,]+') do
    if place == from then
      found = true
      if to then left[#left + 1] = to end
    else left[#left + 1] = place end
  end
  if not found then return end
  if #left == 0 then call('HDEL', P .. 'ids', identity) else call('HSET', P .. 'ids', identity, head .. table.concat(left, ',')) end
end
`
