/**
 * Of all keys and of what nodes tell each other about commits. Hubs that know another format neither read nor write: one that changes
 * it begins with the field "format", so that they notice.
 */
export const FORMAT = 3

/**
 * What every script of the broker begins with. `P` is the prefix of all keys, with its hash tag: every key has that one tag, so
 * that the scripts run in a Redis Cluster, too. A stream is loaded when something touches it, and saved once at the end.
 */
export const PRELUDE = `
local P = string.sub(KEYS[1], 1, -5)
local call = redis.call
local META = P .. 'meta'

-- The time of the cluster, from the clock of Redis: "ahead" is by how much that has been set forward. See cluster-time.ts.
local ahead = tonumber(call('HGET', META, 'ahead') or nil) or 0
local function clusterTime()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) - ahead
end
-- The first argument: a time of a test; or "~" and the time that the caller expects.
local now = tonumber(ARGV[1]) or clusterTime()
local expected = tonumber(string.match(ARGV[1], '^~(.+)$') or nil)
local isOff = expected and math.abs(now - expected) > 2000

-- What has failed, for the log of the node.
local faults = {}
-- Redis refuses everything now, and nothing is damaged.
local REFUSALS = { READONLY = true, MISCONF = true, NOREPLICAS = true, OOM = true }
-- Does what may find something damaged in Redis, which costs nothing else. Gives nil and why if it failed.
local function guarded(what, act, ...)
  local isDone, result = pcall(act, ...)
  if isDone then return result end
  local fault = type(result) == 'table' and result.err or tostring(result)
  if REFUSALS[string.match(fault, '^%-?(%u+)')] or string.find(fault, 'The user executing the script', 1, true) then error(result) end
  faults[#faults + 1] = what .. ': ' .. fault
  return nil, fault
end

local texts = {}
local function text(number)
  local known = texts[number]
  if known then return known end
  known = string.format('%d', number)
  texts[number] = known
  return known
end

local function key(stream, table)
  return P .. 's:' .. stream .. ':' .. table
end

local NUMBERS = { 'first', 'next', 'trimmed', 'bytes', 'entries', 'superseded', 'time', 'cursors', 'from', 'to', 'oldest' }
local OPTIONS = { 'name', 'maxAge', 'maxBytes', 'maxMessages', 'lastValue', 'damaged' }
local FIELDS = {}
for _, name in ipairs(NUMBERS) do FIELDS[#FIELDS + 1] = name end
for _, name in ipairs(OPTIONS) do FIELDS[#FIELDS + 1] = name end

-- The state of a stream by its number, or nil. from, to: what lastValue has not indexed yet; to is 0 if that is nothing.
local streams = {}
local function stream(number)
  if streams[number] == nil then
    local values = redis.pcall('HMGET', P .. 's:' .. number, unpack(FIELDS))
    local s = { number = number, isNew = false }
    for at, name in ipairs(FIELDS) do s[name] = values[at] end
    if not s.name or s.damaged then
      streams[number] = false
    else
      for _, name in ipairs(NUMBERS) do s[name] = tonumber(s[name]) or 0 end
      s.maxAge, s.maxBytes, s.maxMessages = tonumber(s.maxAge), tonumber(s.maxBytes), tonumber(s.maxMessages)
      s.lastValue = s.lastValue == '1'
      streams[number] = s
    end
  end
  return streams[number] or nil
end

-- A record: flags, lengths, when it expires; then id, topic, key, rest, payload. See record.ts.
local HEAD = 22
local function valueNameAt(body, at)
  local _, topicLength, idLength, keyLength, restLength, payloadLength = struct.unpack('>BBHHI4I4', body, at)
  local topicAt = at + HEAD + idLength
  local keyAt = topicAt + topicLength
  local name = string.sub(body, topicAt, keyAt - 1) .. ' ' .. string.sub(body, keyAt, keyAt + keyLength - 1)
  return name, keyAt + keyLength + restLength + payloadLength
end

local function keyLengthOf(record)
  local _, _, _, keyLength = struct.unpack('>BBHH', record)
  return keyLength
end

-- What a block says of its records, or nil: if it is not there, or was damaged. They are two fields, because this Lua hashes every string that it gets or makes, byte by byte.
local function headOf(stream, first)
  local head = call('HGET', key(stream, 'b'), 'h' .. text(first))
  local isWhole, found = pcall(cjson.decode, head or '')
  return isWhole and type(found) == 'table' and type(found.s) == 'table' and type(found.p) == 'table' and found or nil
end

-- A member of the index of blocks: first offset, bytes, times of its first and last message, messages.
local function place(member)
  local first, bytes, firstTime, lastTime, count = string.match(member, '^(%d+):(%d+):(%d+):(%d+):(%d+)$')
  return tonumber(first), tonumber(bytes), tonumber(firstTime), tonumber(lastTime), tonumber(count)
end

-- The offsets of a block of a stream, in order, with the names of their values.
local function valuesOf(s, head, records)
  local offsets, names, at = {}, {}, 1
  for _, segment in ipairs(head.s) do
    for n = 0, segment[1] - 1 do
      local name, behind = valueNameAt(records, at)
      offsets[#offsets + 1] = segment[3][s.name] + n
      names[#names + 1] = name
      at = behind
    end
  end
  return offsets, names
end

local function fetch(hash, fields)
  if #fields == 0 then return {} end
  return call('HMGET', hash, unpack(fields))
end
`
