/** The ops that change streams themselves: declarations, trims, cursors, and the blocks that a node has rewritten. */
export const CHANGES = `
local function setOptions(s, at)
  s.maxAge, s.maxBytes, s.maxMessages = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local lastValue = ARGV[at + 3] == '1'
  if lastValue ~= s.lastValue then
    s.superseded, s.from, s.to = 0, 0, lastValue and s.next or 0
  end
  s.lastValue = lastValue
  call('HSET', P .. 's:' .. s.number, 'name', s.name, 'maxAge', ARGV[at], 'maxBytes', ARGV[at + 1],
    'maxMessages', ARGV[at + 2], 'lastValue', ARGV[at + 3])
  s.isNew = true
end

local function newStream(name)
  local number = text(call('HINCRBY', META, 'number', 1))
  local s = { number = number, name = name, lastValue = false }
  for _, field in ipairs(NUMBERS) do s[field] = 0 end
  streams[number] = s
  return s
end

-- name, canonical options, options, whether to replace others, epoch; maxAge, maxBytes, maxMessages, lastValue
ops.declareStream = function(at)
  local name, canonical, options, epoch = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  local existing = call('HGET', P .. 'streams', name)
  local record
  if existing then
    record = cjson.decode(existing)
    if record.c == canonical then return {} end
    if ARGV[at + 3] ~= '1' then return { x = 'EXISTS', o = record.o } end
    record.c, record.o = canonical, options
    setOptions(stream(text(record.n)), at + 5)
  else
    local s = newStream(name)
    record = { n = tonumber(s.number), c = canonical, o = options, e = epoch }
    setOptions(s, at + 5)
  end
  call('HSET', P .. 'streams', name, cjson.encode(record))
  changeGeneration()
  declared[#declared + 1] = { 'stream', name, record.n, options, record.e }
  return {}
end

ops.deleteStream = function(at)
  local name = ARGV[at]
  local existing = call('HGET', P .. 'streams', name)
  if not existing then return { x = 'GONE' } end
  local number = text(cjson.decode(existing).n)
  call('HDEL', P .. 'streams', name)
  call('UNLINK', P .. 's:' .. number, key(number, 'b'), key(number, 'i'), key(number, 't'), key(number, 'v'), key(number, 'c'))
  streams[number] = false
  changeGeneration()
  declared[#declared + 1] = { '-stream', name, tonumber(number) }
  return {}
end

-- number, offset
ops.trim = function(at)
  local s = stream(ARGV[at])
  if not s then return { x = 'GONE' } end
  local before = tonumber(ARGV[at + 1])
  -- Nothing is left to trim there: retention was first.
  if before <= s.first then return {} end
  s.first = math.min(before, s.next)
  s.trimmed = s.first
  return {}
end

-- number: retention looks at what is touched.
ops.look = function(at)
  stream(ARGV[at])
  return {}
end

local function removeIdle(s, idleMs)
  local swept = tonumber(call('HGET', P .. 's:' .. s.number, 'swept')) or 0
  if now < swept + 60000 then return end
  call('HSET', P .. 's:' .. s.number, 'swept', text(now))
  local all, gone = call('HGETALL', key(s.number, 'c')), {}
  for at = 1, #all, 2 do
    local usedAt = tonumber(string.match(all[at + 1], ':(%d+)$'))
    if usedAt <= now - idleMs and #gone < 5000 then gone[#gone + 1] = all[at] end
  end
  if #gone > 0 then call('HDEL', key(s.number, 'c'), unpack(gone)) end
  s.cursors = s.cursors - #gone
end

-- number, name, offset, maximum, idle after
ops.setCursor = function(at)
  local s = stream(ARGV[at])
  if not s then return { x = 'GONE' } end
  local name, max = ARGV[at + 1], tonumber(ARGV[at + 3])
  if call('HEXISTS', key(s.number, 'c'), name) == 0 then
    if s.cursors >= max then removeIdle(s, tonumber(ARGV[at + 4])) end
    if s.cursors >= max then return { x = 'LIMIT' } end
    s.cursors = s.cursors + 1
  end
  call('HSET', key(s.number, 'c'), name, ARGV[at + 2] .. ':' .. text(now))
  return {}
end

-- number, name: it is in use.
ops.markCursor = function(at)
  local s = stream(ARGV[at])
  local value = s and call('HGET', key(s.number, 'c'), ARGV[at + 1])
  if value then call('HSET', key(s.number, 'c'), ARGV[at + 1], string.match(value, '^%d+') .. ':' .. text(now)) end
  return {}
end

ops.deleteCursor = function(at)
  local s = stream(ARGV[at])
  if not s then return { x = 'GONE' } end
  if call('HDEL', key(s.number, 'c'), ARGV[at + 1]) == 0 then return { x = 'NONE' } end
  s.cursors = s.cursors - 1
  return {}
end

-- number; from where, and where the next step begins (0: all is indexed); count, and of each value its name and offset
ops.index = function(at)
  local s = stream(ARGV[at])
  if not s or s.to == 0 or s.from ~= tonumber(ARGV[at + 1]) then return {} end
  local names, offsets = {}, {}
  for n = at + 4, at + 3 + 2 * tonumber(ARGV[at + 3]), 2 do
    names[#names + 1] = ARGV[n]
    offsets[#offsets + 1] = tonumber(ARGV[n + 1])
  end
  local newest, set = {}, {}
  for n, old in ipairs(fetch(key(s.number, 'v'), names)) do
    local stands = newest[names[n]] or (old and tonumber(old))
    if offsets[n] >= s.first then
      if stands and stands >= s.first and stands ~= offsets[n] then s.superseded = s.superseded + 1 end
      if not stands or stands < offsets[n] then newest[names[n]] = offsets[n] end
    end
  end
  for name, offset in pairs(newest) do
    set[#set + 1] = name
    set[#set + 1] = text(offset)
  end
  if #set > 0 then call('HSET', key(s.number, 'v'), unpack(set)) end
  s.from = tonumber(ARGV[at + 2])
  if s.from == 0 then s.to = 0 end
  return {}
end

-- number; how many messages are dropped; count, and the members of the blocks that go; count, and of each new block its last offset, member, head and records
ops.rewrite = function(at)
  local s = stream(ARGV[at])
  if not s then return {} end
  local members, i, b = {}, nil, nil
  for n = at + 3, at + 2 + tonumber(ARGV[at + 2]) do members[#members + 1] = ARGV[n] end
  i, b = key(s.number, 'i'), key(s.number, 'b')
  for _, member in ipairs(members) do
    if not call('ZSCORE', i, member) then return {} end
  end
  for _, member in ipairs(members) do
    local first, bytes = place(member)
    call('ZREM', i, member)
    call('HDEL', b, text(first), 'h' .. text(first))
    s.bytes = s.bytes - bytes
  end
  local from = at + 3 + #members
  for n = from + 1, from + 4 * tonumber(ARGV[from]), 4 do
    local first = text(place(ARGV[n + 1]))
    call('ZADD', i, ARGV[n], ARGV[n + 1])
    call('HSET', b, first, ARGV[n + 3], 'h' .. first, ARGV[n + 2])
    s.bytes = s.bytes + #ARGV[n + 2] + #ARGV[n + 3]
  end
  s.entries = s.entries - tonumber(ARGV[at + 1])
  s.superseded = s.superseded - tonumber(ARGV[at + 1])
  return {}
end
`
