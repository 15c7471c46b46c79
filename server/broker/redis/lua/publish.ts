/** The op `publish`, and the ids of what was published. */
export const PUBLISH = String.raw`
-- Places that are left of an earlier publish: what has not been deleted or trimmed.
local function placesLeft(places)
  local left = {}
  for kind, number, offset in string.gmatch(places, '([sq])(%d+)=(%d+)') do
    local s = kind == 's' and stream(number)
    local isThere = s and tonumber(offset) >= s.trimmed or (kind == 'q' and call('EXISTS', q.key(number, '')) == 1)
    if isThere then left[#left + 1] = { tonumber(number), tonumber(offset) } end
  end
  return left
end

local function knownAmong(segments, window)
  local identities, known = {}, {}
  for _, segment in ipairs(segments) do
    for _, identity in ipairs(segment.identities) do
      if identity ~= '' then identities[#identities + 1] = identity end
    end
  end
  for at, value in ipairs(fetch(P .. 'ids', identities)) do
    if value then
      local time, _, places = string.match(value, '^(%d+):(%d+):(.*)$')
      if tonumber(time) > now - window then
        local left = placesLeft(places)
        if #left > 0 then known[#known + 1] = { at - 1, left } end
      end
    end
  end
  return known
end

-- Forgets ids that have had their time, and the oldest of what exceeds the limit: whole chapters, and the first of the oldest. Not all at once, but more
-- than a turn adds.
local function forgetIds(window, limit)
  local forgotten = 0
  for _ = 1, 20 do
    if forgotten >= 1000 then return end
    local chapter = call('LINDEX', P .. 'ids:l', 0)
    if not chapter then return end
    local time, commit = string.match(chapter, '^(%d+)\n(%d+)\n')
    local isOver = tonumber(time) <= now - window
    local excess = call('HLEN', P .. 'ids') - limit
    if not isOver and excess <= 0 then return end
    local gone = tonumber(call('HGET', META, 'idsGone')) or 0
    -- The first two lines are no ids.
    local mine, seen, isWhole = {}, -2, true
    for identity in string.gmatch(chapter, '[^\n]+') do
      seen = seen + 1
      if seen > gone then
        if not isOver and #mine >= excess then isWhole = false break end
        mine[#mine + 1] = identity
        gone = seen
      end
    end
    local left, head = {}, time .. ':' .. commit .. ':'
    for n, value in ipairs(fetch(P .. 'ids', mine)) do
      -- It may have come again since, if what it went to was gone.
      if value and string.find(value, head, 1, true) == 1 then left[#left + 1] = mine[n] end
    end
    if #left > 0 then call('HDEL', P .. 'ids', unpack(left)) end
    forgotten = forgotten + #mine
    if isWhole then
      call('LPOP', P .. 'ids:l')
      gone = 0
    end
    call('HSET', META, 'idsGone', gone)
  end
end

-- Blocks

local BLOCK_BYTES = 65536

local function beginBlock(s)
  s.block = { first = s.next, count = 0, bytes = 0, segments = {}, bodies = {}, topics = {}, newest = {} }
  s.written = (s.written or 0) + 1
end

local function putBlock(s, time)
  local block = s.block
  s.block, s.isOpen = nil, true
  local t = key(s.number, 't')
  local before, set = {}, {}
  for at, value in ipairs(fetch(t, block.topics)) do
    local topic = block.topics[at]
    before[topic] = value and tonumber(value) or -1
    set[#set + 1] = topic
    set[#set + 1] = text(block.newest[topic])
  end
  call('HSET', t, unpack(set))
  local head = cjson.encode({ s = block.segments, p = before })
  local records = #block.bodies == 1 and block.bodies[1] or table.concat(block.bodies)
  local first, bytes = text(block.first), #head + #records
  call('HSET', key(s.number, 'b'), first, records, 'h' .. first, head)
  local member = first .. ':' .. bytes .. ':' .. text(time) .. ':' .. text(time) .. ':' .. block.count
  call('ZADD', key(s.number, 'i'), text(block.first + block.count - 1), member)
  s.bytes, s.isOpen = s.bytes + bytes, false
end

-- The values of a segment stand, and those that they replace are counted. "from" is where indexing has not been yet.
local function addValues(s, values, base)
  if #values == 0 then return end
  local v = key(s.number, 'v')
  local newest, set = {}, {}
  local limit = s.to > 0 and s.from
  for at, old in ipairs(fetch(v, values)) do
    local name, offset = values[at], base + at - 1
    local replaced = newest[name] or (old and tonumber(old))
    if replaced and replaced < (limit or offset) then s.superseded = s.superseded + 1 end
    newest[name] = offset
  end
  for name, offset in pairs(newest) do
    set[#set + 1] = name
    set[#set + 1] = text(offset)
  end
  call('HSET', v, unpack(set))
end

local function addSegment(s, segment, base, time)
  if not s.block then beginBlock(s) end
  local block = s.block
  block.segments[#block.segments + 1] = { segment.count, time, segment.bases }
  block.bodies[#block.bodies + 1] = segment.body
  block.count = block.count + segment.count
  block.bytes = block.bytes + #segment.body
  for at = 1, #segment.topics, 2 do
    local topic = segment.topics[at]
    if not block.newest[topic] then block.topics[#block.topics + 1] = topic end
    block.newest[topic] = base + segment.topics[at + 1]
  end
  s.next = base + segment.count
  s.entries = s.entries + segment.count
  s.time = time
  if s.lastValue then addValues(s, segment.values, base) end
  if block.bytes >= BLOCK_BYTES then putBlock(s, time) end
end

-- Segments as the node sends them

local function take(at, count, step)
  local list = {}
  for n = at, at + count * step - 1 do list[#list + 1] = ARGV[n] end
  return list, at + count * step
end

local function readSegment(at)
  local segment = { count = tonumber(ARGV[at]), bases = {}, places = {}, identities = {} }
  segment.streams, at = take(at + 2, tonumber(ARGV[at + 1]), 1)
  segment.topics, at = take(at + 1, tonumber(ARGV[at]), 2)
  segment.values, at = take(at + 1, tonumber(ARGV[at]), 1)
  segment.queues, at = take(at + 1, tonumber(ARGV[at]), 1)
  if #segment.queues > 0 then
    segment.queueBytes, segment.isPlain, segment.attributes = tonumber(ARGV[at]), ARGV[at + 1] == '1', ARGV[at + 2]
    at = at + 3
  end
  segment.ids = ARGV[at]
  for identity in string.gmatch(segment.ids, '([^\n]*)\n') do
    segment.identities[#segment.identities + 1] = identity
  end
  segment.body = ARGV[at + 1]
  return segment, at + 2
end

local function placeSegment(segment, time, touched)
  for _, number in ipairs(segment.streams) do
    local s = stream(number)
    segment.bases[s.name] = s.next
  end
  for _, number in ipairs(segment.streams) do
    local s = stream(number)
    segment.places[#segment.places + 1] = { 's' .. number .. '=', s.next }
    addSegment(s, segment, s.next, time)
    touched[number] = s
  end
end

-- Where a message of a segment is, in the form in which its id remembers it, after a head.
local function placesOf(segment, n, head)
  local all = {}
  for at, place in ipairs(segment.places) do all[at] = place[1] .. text(place[2] + n - 1) end
  return head .. table.concat(all, ',')
end

local function rememberIds(segments)
  local time, number = text(now), text(commit())
  local head = time .. ':' .. number .. ':'
  local set, chapter = {}, { time .. '\n' .. number .. '\n' }
  for _, segment in ipairs(segments) do
    local remembered, first = {}, segment.places[1]
    -- Mostly there is one place: a string less for each message.
    local only = #segment.places == 1 and head .. first[1]
    for n, identity in ipairs(first and segment.identities or {}) do
      if identity ~= '' then
        set[#set + 1] = identity
        set[#set + 1] = only and only .. text(first[2] + n - 1) or placesOf(segment, n, head)
        remembered[#remembered + 1] = identity
      end
    end
    local isAll = #remembered == segment.count
    chapter[#chapter + 1] = isAll and segment.ids or table.concat(remembered, '\n') .. '\n'
  end
  if #set == 0 then return end
  call('HSET', P .. 'ids', unpack(set))
  call('RPUSH', P .. 'ids:l', table.concat(chapter))
end

-- What goes to a stream or queue that is damaged: the place of the first, how many, the number of the stream or queue.
local function damagedAmong(segments)
  local found, place = {}, 1
  for _, segment in ipairs(segments) do
    local damaged
    for _, number in ipairs(segment.streams) do if not stream(number) then damaged = number end end
    for _, number in ipairs(segment.queues) do if not q.load(number) then damaged = number end end
    if damaged then found[#found + 1] = { place, segment.count, tonumber(damaged) } end
    place = place + segment.count
  end
  return found
end

-- generation, window, limit; segments: count, and each; acks: count, and each.
local function publish(at)
  if tonumber(ARGV[at]) ~= generation() then return { x = 'STALE' } end
  local window, limit = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local segmentCount = tonumber(ARGV[at + 3])
  at = at + 4
  local segments, touched = {}, {}
  for n = 1, segmentCount do segments[n], at = readSegment(at) end
  local known = knownAmong(segments, window)
  if #known > 0 then return { x = 'KNOWN', k = known } end
  local damaged = damagedAmong(segments)
  if #damaged > 0 then return { x = 'DAMAGED', d = damaged } end
  local time = math.max(now, tonumber(call('HGET', META, 'time')) or 0)
  local acks = q.readAcks(at)
  local lost = q.lostAmong(acks)
  if #lost > 0 then return { x = 'LOST', l = lost } end
  local units, unitOf
  if not q.fitsAll(segments) then
    units, unitOf = q.units(segments, acks)
    local refused = q.withoutRoom(units)
    if #refused > 0 then return { x = 'ROOM', w = refused } end
  end
  local first = 0
  for n, segment in ipairs(segments) do
    placeSegment(segment, time, touched)
    q.enterSegment(segment, first, unitOf, time)
    messages[n] = { segment.count, segment.bases, #segment.queues > 0 and 1 or 0 }
    -- For other nodes.
    bodies[#bodies + 1] = segment.body
    first = first + segment.count
  end
  for _, ack in ipairs(acks) do q.doEnd(ack) end
  for _, s in pairs(touched) do if s.block then putBlock(s, time) end end
  if next(touched) then call('HSET', META, 'time', text(time)) end
  rememberIds(segments)
  forgetIds(window, limit)
  messageTime = time
  return {}
end

-- Nothing of a publish that has failed in its middle is in a stream. Queues may have some of it.
ops.publish = function(at)
  local before = {}
  for number, s in pairs(streams) do before[number] = s and { s.next, s.entries, s.time, s.superseded } end
  local result, fault = guarded('publish', publish, at)
  if result then return result end
  for number, s in pairs(streams) do
    if s and before[number] then
      s.next, s.entries, s.time, s.superseded = unpack(before[number])
      s.block = nil
    elseif s then
      if s.isOpen and string.find(fault, 'WRONGTYPE') then call('HSET', P .. 's:' .. number, 'damaged', fault) end
      streams[number] = nil
    end
  end
  messages, bodies = {}, {}
  return { x = 'FAILED' }
end
`
