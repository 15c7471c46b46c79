/** What is looked up in queues. Nothing is changed here. */
export const QUEUE_READS = String.raw`
function q.mend() return nil end
function q.dropNew() return 0 end
function q.dropLeased() end

-- Figures, when the oldest was published, since when the oldest is ready, and the first groups that are parked.
function q.look(n)
  local s = q.load(n)
  if not s then return nil end
  local oldest, ready = call('ZRANGE', q.key(n, ':o'), 0, 0)[1], false
  oldest = oldest and q.headerOf(s, oldest).time
  local new = q.firstNew(s)
  if new then
    ready = struct.unpack('>d', new.v, new.at)
    oldest = math.min(oldest or ready, ready)
  end
  for band = 0, 9 do
    local first = call('ZRANGEBYSCORE', q.key(n, ':r'), band * BAND, '(' .. text((band + 1) * BAND), 'LIMIT', 0, 1)[1]
    if first then
      local h, f = q.headerOf(s, first), q.failure(s, first)
      local since = math.max(h.time, (f and f.due or h.due) - q.back)
      if not ready or since < ready then ready = since end
    end
  end
  local stamp = tonumber(call('ZSCORE', P .. 'qv', n) or 0)
  return { q.figures(s, stamp), oldest or false, ready, call('ZRANGE', q.key(n, ':p'), 0, 99) }
end

-- numbers…
reads.queues = function(a)
  local found = {}
  q.mono()
  for _, n in ipairs(a) do found[#found + 1] = guarded('queue ' .. n, q.look, n) end
  return cjson.encode(found)
end

-- stamp: of the queues that have changed since, the first.
reads.changed = function(a)
  return reads.queues(call('ZRANGEBYSCORE', P .. 'qv', '(' .. a[1], '+inf', 'LIMIT', 0, 200))
end

-- number, seqs…: the body of each, false for those that are gone.
reads.bodies = function(a)
  local s, bodies = { k = a[1], batches = {} }, call('HMGET', q.key(a[1], ':m'), unpack(a, 2))
  for at, body in ipairs(bodies) do
    local seq = tonumber(a[at + 1])
    local b = not body and q.leasedBatch(s, seq)
    if b then
      local _, found = q.partsAt(b, seq - b.first + 1)
      bodies[at] = found
    end
  end
  return bodies
end

-- number, seq: how many attempts have failed.
reads.attempts = function(a)
  local f = q.failure({ k = a[1] }, a[2])
  return f and f.attempts or 0
end

function q.addLetter(found, letter)
  local id, v = letter[1], letter[2]
  found[#found + 1] = string.match(id, '^%d+')
  found[#found + 1] = v[2]
  found[#found + 1] = v[4]
  found[#found + 1] = v[6]
  return #v[2] + #v[6]
end

-- number, from, to, bytes: letter + 1, note, header and body of each; 500 at most.
reads.letters = function(a)
  local found, left, from = {}, tonumber(a[4]), string.format('%d-0', a[2] + 1)
  while left > 0 and #found < 2000 do
    local some = call('XRANGE', q.key(a[1], ':dl'), from, string.format('%d-0', a[3]), 'COUNT', 20)
    for _, each in ipairs(some) do
      if left > 0 then left = left - q.addLetter(found, each) end
    end
    if #some < 20 then break end
    from = '(' .. some[#some][1]
  end
  return found
end

-- number, letters…
reads.lettersOf = function(a)
  local found = {}
  for i = 2, #a do
    local id = string.format('%d-0', a[i] + 1)
    local each = call('XRANGE', q.key(a[1], ':dl'), id, id)[1]
    if each then q.addLetter(found, each) end
  end
  return found
end
`
