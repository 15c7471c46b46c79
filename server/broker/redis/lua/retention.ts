/** Retention and the saving of streams: the rules of `rules/retention.ts`, once more, because they have to hold in the same step. */
export const RETENTION = `
local function forgetTopics(s, head, last)
  local topics, gone = {}, {}
  for topic in pairs(head.p) do topics[#topics + 1] = topic end
  local newest = fetch(key(s.number, 't'), topics)
  for at, topic in ipairs(topics) do
    if newest[at] and tonumber(newest[at]) <= last then gone[#gone + 1] = topic end
  end
  if #gone > 0 then call('HDEL', key(s.number, 't'), unpack(gone)) end
end

local function forgetValues(s, head, records, last)
  local offsets, names = valuesOf(s, head, records)
  local standing = fetch(key(s.number, 'v'), names)
  local gone, superseded = {}, 0
  for at, offset in ipairs(offsets) do
    local stands = tonumber(standing[at] or nil)
    if stands and stands > offset then superseded = superseded + 1
    elseif stands then gone[#gone + 1] = names[at] end
  end
  if #gone > 0 then call('HDEL', key(s.number, 'v'), unpack(gone)) end
  -- What is not indexed has not been counted.
  if s.to == 0 or last < s.from then s.superseded = s.superseded - superseded end
end

local function removeOldest(s, member, last)
  local first, bytes, _, _, count = place(member)
  local blocks = key(s.number, 'b')
  local head = headOf(s.number, first)
  if head then
    forgetTopics(s, head, last)
    if s.lastValue then guarded('stream ' .. s.number, forgetValues, s, head, call('HGET', blocks, text(first)), last) end
  end
  call('HDEL', blocks, text(first), 'h' .. text(first))
  call('ZREM', key(s.number, 'i'), member)
  s.bytes = s.bytes - bytes
  s.entries = s.entries - count
  s.first = math.max(s.first, last + 1)
end

-- The oldest block stays, and those of its messages that are too old count no more. If none is, nothing before the block is missing: newer values have
-- replaced it.
local function skipInto(s, first, firstTime, lastTime)
  s.oldest = lastTime
  if firstTime == lastTime then return end
  local head, hasSkipped = headOf(s.number, first), false
  for _, segment in ipairs(head and head.s or {}) do
    local behind = segment[3][s.name] + segment[1]
    if behind > s.first then
      if segment[2] >= now - s.maxAge then
        if hasSkipped then s.first = math.max(s.first, segment[3][s.name]) end
        s.oldest = segment[2]
        return
      end
      s.first, hasSkipped = behind, true
    end
  end
end

local function retain(s)
  if s.maxMessages then s.first = math.max(s.first, s.next - s.maxMessages) end
  s.oldest = 0
  -- The values of a block are looked up one by one.
  for _ = 1, (s.lastValue and 4 or 32) + 2 * (s.written or 0) do
    local oldest = call('ZRANGE', key(s.number, 'i'), 0, 0, 'WITHSCORES')
    if #oldest == 0 then return end
    local last = tonumber(oldest[2])
    local first, _, firstTime, lastTime = place(oldest[1])
    local isOver = last < s.first or (s.bytes > s.maxBytes and last + 1 < s.next)
    if not isOver and lastTime >= now - s.maxAge then return skipInto(s, first, firstTime, lastTime) end
    removeOldest(s, oldest[1], last)
  end
  -- More is left: the next node that looks at the stream continues.
  s.oldest = 1
end

local function state(s)
  local values = { tonumber(s.number) }
  for _, name in ipairs(NUMBERS) do values[#values + 1] = s[name] end
  return values
end

-- Saves what was touched; what has changed of it is for the event.
local function saveStreams(changes)
  for number, s in pairs(streams) do
    if s then
      guarded('stream ' .. number, retain, s)
      local fields = {}
      for _, name in ipairs(NUMBERS) do
        fields[#fields + 1] = name
        fields[#fields + 1] = text(s[name])
      end
      local before = call('HMGET', P .. 's:' .. number, unpack(NUMBERS))
      local isChanged = s.isNew
      for at, name in ipairs(NUMBERS) do isChanged = isChanged or before[at] ~= text(s[name]) end
      if isChanged then
        call('HSET', P .. 's:' .. number, unpack(fields))
        changes[#changes + 1] = state(s)
      end
    end
  end
end
`
