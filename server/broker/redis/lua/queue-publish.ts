/** What the op `publish` does in queues: the room that its messages need, the acks that publish them, and their entry. */
export const QUEUE_PUBLISH = String.raw`
-- Acks that publish: of each its fields (q.FIELDS), the place of its first message, and how many it publishes.
function q.readAcks(at)
  local acks = {}
  local count = tonumber(ARGV[at])
  at = at + 1
  for n = 1, count do
    local ack = q.ending(ARGV, at)
    ack.first, ack.count, ack.unit = tonumber(ARGV[at + q.FIELDS]), tonumber(ARGV[at + q.FIELDS + 1]), { needs = {}, of = {}, ack = n }
    acks[n] = ack
    at = at + q.FIELDS + 2
  end
  return acks
end

function q.need(unit, n, bytes)
  local need = unit.of[n]
  if not need then
    need = { n = n, messages = 0, bytes = 0 }
    unit.of[n] = need
    unit.needs[#unit.needs + 1] = need
  end
  need.messages, need.bytes = need.messages + 1, need.bytes + bytes
end

-- Messages that come in together or not at all: one, or those of an ack. Gives them in order, and the one of each message.
function q.units(segments, acks)
  local units, unitOf, place, ackAt = {}, {}, 0, 1
  for _, segment in ipairs(segments) do
    for n = 1, segment.count do
      place = place + 1
      while acks[ackAt] and acks[ackAt].first + acks[ackAt].count <= place do ackAt = ackAt + 1 end
      local ack = acks[ackAt]
      local unit = ack and ack.first <= place and ack.unit or { needs = {}, of = {}, place = place }
      if #segment.queues > 0 then
        local _, _, bytes = struct.unpack(HEAD, segment.attrs[n])
        for _, number in ipairs(segment.queues) do q.need(unit, number, bytes) end
      end
      if units[#units] ~= unit then units[#units + 1] = unit end
      unitOf[place] = unit
    end
  end
  return units, unitOf
end

function q.lostAmong(acks)
  local lost = {}
  for n, ack in ipairs(acks) do
    if not q.canEnd(ack) then lost[#lost + 1] = n end
  end
  return lost
end

-- What each message of a segment has in a queue: where else it is, a line each, and its record.
function q.bodiesOf(segment, identities, time)
  local bodies, names, at = {}, {}, 1
  for name in pairs(segment.bases) do names[#names + 1] = name end
  time = text(time) .. '\n'
  for n = 1, segment.count do
    local flags, _, _, size = struct.unpack(HEAD, segment.attrs[n])
    local offsets = {}
    for i, name in ipairs(names) do offsets[i] = '"' .. name .. '":' .. text(segment.bases[name] + n - 1) end
    local scoped = flags >= 2 and '\n1\n' or '\n0\n'
    bodies[n] = time .. (identities[n] or '') .. scoped .. table.concat(offsets, ',') .. '\n' .. string.sub(segment.body, at, at + size - 1)
    at = at + size
  end
  return bodies
end

-- The room for messages that come in together is made before the first of them.
function q.roomForUnit(unit)
  if unit.hasRoom then return end
  unit.hasRoom = true
  for _, need in ipairs(unit.needs) do
    local s = q.load(need.n)
    if s then q.makeRoom(s, need.messages, need.bytes, 100000) end
  end
end

-- Puts the messages of a segment into its queues. identities: those of its messages, by place.
function q.enterSegment(segment, first, unitOf, identities, time)
  if #segment.queues == 0 then return end
  local bodies, keys = q.bodiesOf(segment, identities, time), {}
  for _, attr in ipairs(segment.attrs) do
    if #attr > ATTRIBUTES then keys[#keys + 1] = string.sub(attr, ATTRIBUTES + 1) end
  end
  segment.seqs = {}
  for _, number in ipairs(segment.queues) do
    local s = q.load(number)
    if s then q.expectGroups(s, keys) end
  end
  for n = 1, segment.count do
    q.roomForUnit(unitOf[first + n])
    local seqs = {}
    for i, number in ipairs(segment.queues) do
      local s = q.load(number)
      seqs[i] = s and q.enter(s, segment.attrs[n], bodies[n])
    end
    segment.seqs[n] = seqs
  end
end
`
