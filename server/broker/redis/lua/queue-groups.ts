/** The groups of a queue, and the line in which their heads stand. */
export const QUEUE_GROUPS = `
local GROUP = struct.size('>BBI4I4d')
function q.share(g)
  if g.p == 1 or g.l == DELAYED then return 0 end
  return g.l == READY and g.n - 1 or g.n
end

function q.group(s, key)
  local g = s.groups[key]
  if g then return g end
  return q.takeGroup(s, key, call('HGET', q.key(s.k, ':g'), key))
end

-- Reads groups at once that are looked at soon.
function q.expectGroups(s, keys)
  local new, once = {}, {}
  for _, key in ipairs(keys) do
    if not s.groups[key] and not once[key] then
      once[key] = true
      new[#new + 1] = key
    end
  end
  for i, v in ipairs(q.fetch(q.key(s.k, ':g'), new)) do q.takeGroup(s, new[i], v) end
end

function q.takeGroup(s, key, v)
  local g = { p = 0, l = NONE, n = 0, u = 0, t = -1, key = key, was = 0 }
  if v and #v == GROUP then g.p, g.l, g.n, g.u, g.t = struct.unpack('>BBI4I4d', v) elseif v then q.regroup(s, g) end
  if v then g.was = q.share(g) end
  s.groups[key] = g
  s.grouped[#s.grouped + 1] = g
  return g
end

function q.member(key, seq) return struct.pack('>I4c0I8', #key, key, seq) end

function q.headOf(s, key)
  q.flush(s)
  local from = struct.pack('>I4c0', #key, key)
  local found = call('ZRANGEBYLEX', s.gzKey, '[' .. from, '+', 'LIMIT', '0', '1')[1]
  if found and string.sub(found, 1, #from) == from then return (struct.unpack('>I8', found, #from + 1)) end
end

-- Puts one in the line of its priority. member: its number, as text.
function q.ready(s, member, priority)
  local line, n = 9 - priority, s.offered
  s.zr[n + 1] = line == 0 and member or line .. string.sub(ZEROS, #member + 1) .. member
  s.zr[n + 2] = member
  s.offered = n + 2
end

-- Puts one in line that may go.
function q.offer(s, seq, priority, due, g)
  if due > q.mono() then
    call('ZADD', q.key(s.k, ':d'), due, seq)
    if g then g.l = DELAYED end
    return false
  end
  q.ready(s, text(seq), priority)
  if g then g.l = READY end
  return true
end

local FAILURE = struct.size('>I4dB')
function q.failure(s, seq)
  return q.readFailure(call('HGET', q.key(s.k, ':f'), seq))
end

-- What has failed of some messages, in their order. Mostly nothing has.
function q.failuresOf(s, seqs)
  if #seqs == 0 or call('HLEN', q.key(s.k, ':f')) == 0 then return {} end
  return q.fetch(q.key(s.k, ':f'), seqs)
end

function q.readFailure(f)
  if not f then return nil end
  if #f < FAILURE then return { attempts = 0, due = 0 } end
  local attempts, due, said, at = struct.unpack('>I4dB', f)
  return { attempts = attempts, due = due, error = said == 1 and string.sub(f, at) or nil }
end

-- The heads of groups that have lost theirs take their places.
function q.heads(s)
  while #s.checks > 0 do
    local groups, seqs = {}, {}
    for _, g in ipairs(s.checks) do
      g.check = false
      local head = g.p == 0 and g.l == NONE and g.n > 0 and q.headOf(s, g.key)
      if head then
        groups[#groups + 1] = g
        seqs[#seqs + 1] = text(head)
      end
    end
    s.checks = {}
    local failures = q.failuresOf(s, seqs)
    for i, h in ipairs(q.fetch(q.key(s.k, ':h'), seqs)) do
      local head, failed, seq = q.parse(q.whole(s, seqs[i], h)), q.readFailure(failures[i]), tonumber(seqs[i])
      if head.isUnreadable then q.dropHead(s, groups[i], seq, head) else
        q.offer(s, seq, head.priority, failed and failed.due or head.due, groups[i])
      end
    end
  end
end

-- The group may have another head.
function q.check(s, g)
  if g.check then return end
  g.check = true
  s.checks[#s.checks + 1] = g
end

function q.park(s, key)
  local g = q.group(s, key)
  if g.l ~= FLIGHT then
    q.flush(s)
    local head = q.headOf(s, key)
    if head then
      call('ZREM', q.key(s.k, ':r'), head)
      call('ZREM', q.key(s.k, ':d'), head)
    end
    g.l = NONE
  end
  g.p = 1
  call('ZADD', q.key(s.k, ':p'), now, key)
end
`
