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
        local _, _, bytes = struct.unpack(HEAD, q.attrsOf(segment)[n])
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

-- Whether there is room for everything, so that it need not be looked for message by message.
function q.fitsAll(segments)
  local more = {}
  for _, segment in ipairs(segments) do
    for _, number in ipairs(segment.queues) do
      local m = more[number] or { 0, 0 }
      more[number] = { m[1] + segment.count, m[2] + segment.queueBytes }
    end
  end
  for number, m in pairs(more) do
    local s = q.load(number)
    if s and (s.size + m[1] > s.o.mm or s.bytes + m[2] > s.o.mb) then return false end
    if s and s.o.ov == 'block' and q.isLate(s) then return false end
  end
  return true
end

-- A segment has the attributes of its messages in one argument, and their records in another: two for each message would cost more than what is done with them.
function q.split(segment)
  local attrs, records, at, recordAt = {}, {}, 1, 1
  for n = 1, segment.count do
    local flags, _, _, size = struct.unpack(RECORD, segment.attributes, at)
    local record = string.sub(segment.body, recordAt, recordAt + size - 1)
    local behind = at + ATTRIBUTES + (flags % 2 == 1 and keyLengthOf(record) or 0)
    attrs[n], records[n] = string.sub(segment.attributes, at, behind - 1), record
    at, recordAt = behind, recordAt + size
  end
  segment.attrs, segment.records = attrs, records
end

function q.attrsOf(segment)
  if not segment.attrs then q.split(segment) end
  return segment.attrs
end

-- What each message of a segment has in a queue: where else it is, a line each, and its record.
function q.bodiesOf(segment, time)
  local bodies, names, offsets = {}, {}, ''
  for name in pairs(segment.bases) do names[#names + 1] = name end
  local scoped, unscoped = text(time) .. '\n1\n', text(time) .. '\n0\n'
  local attrs, records, identities = q.attrsOf(segment), segment.records, segment.identities
  for n, attr in ipairs(attrs) do
    for i, name in ipairs(names) do
      offsets = (i > 1 and offsets .. ',"' or '"') .. name .. '":' .. text(segment.bases[name] + n - 1)
    end
    local about, identity = string.byte(attr) >= 2 and scoped or unscoped, identities[n] or ''
    -- In one step: a part of it would be a string more, to be hashed byte by byte.
    bodies[n] = about .. offsets .. '\n' .. identity .. '\n' .. records[n]
  end
  return bodies
end

-- The messages of a segment as a batch.
function q.enterNew(s, segment, time)
  local count, bytes, offsets = segment.count, segment.queueBytes, {}
  for name, base in pairs(segment.bases) do offsets[#offsets + 1] = '"' .. name .. '":' .. text(base) end
  call('RPUSH', q.key(s.k, ':n'), batchOf(s.next, count, s.next, text(time), bytes, table.concat(offsets, ','), NOW, segment.attributes,
    segment.ids, segment.body))
  s.next, s.size, s.packed, s.published, s.due = s.next + count, s.size + count, s.packed + count, s.published + count, s.due + count
  s.bytes, s.wbytes = s.bytes + bytes, s.wbytes + bytes
end

-- Room for messages that come in together is made before the first of them.
function q.roomForUnit(s, unit)
  for _, need in ipairs(unit.needs) do
    if need.n == s.k and not need.isMade then
      need.isMade = true
      q.makeRoom(s, need.messages, need.bytes, 100000)
    end
  end
end

-- Puts the messages of a segment into its queues. unitOf: nil if there is room for all.
function q.enterSegment(segment, first, unitOf, time)
  if #segment.queues == 0 then return end
  local isNew = segment.isPlain and not unitOf
  local attrs, bodies, keys = {}, nil, {}
  if not isNew then attrs, bodies = q.attrsOf(segment), q.bodiesOf(segment, time) end
  for _, attr in ipairs(attrs) do
    if #attr > ATTRIBUTES then keys[#keys + 1] = string.sub(attr, ATTRIBUTES + 1) end
  end
  for _, number in ipairs(segment.queues) do
    local s = q.load(number)
    if s then
      segment.places[#segment.places + 1] = { 'q' .. number .. '=', s.next }
      q.expectGroups(s, keys)
      s.hasEntered = true
      if isNew then q.enterNew(s, segment, time) else
        for n, attr in ipairs(attrs) do
          if unitOf then q.roomForUnit(s, unitOf[first + n]) end
          q.enter(s, attr, bodies[n])
        end
      end
    end
  end
end
`
