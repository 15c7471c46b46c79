/** The op that leases messages: see `queues.ts`. */
export const QUEUE_LEASING = `
-- Leases the first batch of the new ones, or as much of it as is wanted.
function q.leaseNew(s, lease, count, bytes, result)
  local key = q.key(s.k, ':n')
  local v = call('LPOP', key)
  if not v then
    q.noneNew(s)
    return false
  end
  local b = q.batchIn(v)
  if not b then
    q.dropBatch(s, v)
    return true
  end
  local fitting = q.fitting(b, count, bytes - result.bytes)
  if fitting < b.count then
    local pieces = q.cut(b, fitting)
    b = q.batchIn(pieces[1])
    for n = #pieces, 2, -1 do call('LPUSH', key, pieces[n]) end
  end
  local members = {}
  for n = 1, b.count do members[n] = text(b.first + n - 1) end
  call('HSET', q.key(s.k, ':nl'), members[1], b.v)
  call('SADD', lease, unpack(members))
  s.flight, s.packed, s.wbytes = s.flight + b.count, s.packed - b.count, s.wbytes - b.bytes
  result.bytes, result.count = result.bytes + b.bytes, result.count + b.count
  result.g[#result.g + 1], leased[#leased + 1] = { b.first, b.count }, b.v
  return true
end

-- Leases some of those that come next: new ones, or those in line. Gives whether there may be more.
function q.leaseSome(s, line, lease, count, bytes, result)
  local _, score = unpack(call('ZRANGE', line, 0, 0, 'WITHSCORES'))
  if not score then return q.leaseNew(s, lease, count, bytes, result) end
  -- A message in line that was new once has a number before or behind all of a batch.
  local new = q.firstNew(s)
  if new and PLAIN + new.first < tonumber(score) then return q.leaseNew(s, lease, count, bytes, result) end
  if new then count = math.min(count, call('ZCOUNT', line, '-inf', '(' .. text(PLAIN + new.first))) end
  return q.leaseReady(s, line, lease, math.min(count, 100), bytes, result)
end

-- Takes some out of the line for a lease, with the first of its bytes.
function q.leaseReady(s, line, lease, count, bytes, result)
  local popped = call('ZPOPMIN', line, count)
  local seqs, out, back, keys = {}, {}, {}, {}
  for i = 1, #popped, 2 do seqs[#seqs + 1] = popped[i] end
  local heads = fetch(q.key(s.k, ':h'), seqs)
  local failed = q.failuresOf(s, seqs)
  for i, seq in ipairs(seqs) do
    local head = q.whole(s, seq, heads[i])
    local _, flags, _, size, _, expires, _, keyAt = struct.unpack(STORED, head or NO_HEADER)
    if result.bytes >= bytes then
      back[#back + 1] = popped[2 * i]
      back[#back + 1] = seq
    elseif not head then q.drop(s, tonumber(seq), q.unreadable())
    elseif expires > 0 and expires <= now then
      -- More have expired than one step takes out.
      call('ZADD', line, popped[2 * i], seq)
      q.drop(s, tonumber(seq), q.parse(head))
    else
      out[#out + 1] = seq
      result.bytes, s.wbytes, s.flight = result.bytes + size, s.wbytes - size, s.flight + 1
      if expires > 0 then call('ZREM', q.key(s.k, ':x'), seq) end
      if flags % 2 == 1 then keys[#keys + 1] = string.sub(head, keyAt) end
      result.g[#result.g + 1], result.count = seq, result.count + 1
      local failure = q.readFailure(failed[i])
      if failure then
        result.f[#result.f + 1] = { #result.g - 1, failure.attempts, failure.error or false }
        if failure.attempts > 0 then s.again = s.again + 1 end
      end
    end
  end
  if #back > 0 then call('ZADD', line, unpack(back)) end
  q.expectGroups(s, keys)
  for _, each in ipairs(keys) do
    local g = q.group(s, each)
    g.l, g.n = FLIGHT, g.n - 1
  end
  if #out > 0 then
    call('ZREM', q.key(s.k, ':o'), unpack(out))
    call('SADD', lease, unpack(out))
    for _, body in ipairs(call('HMGET', q.key(s.k, ':m'), unpack(out))) do leased[#leased + 1] = body end
  end
  return #seqs > 0
end

-- number, count, bytes, lessee: leases what is ready. Gives the seq of each, or of a batch the first one and how many; of those that have failed the place,
-- the attempts, and the error or false; and the place of the first among all that the turn has leased.
ops.qlease = function(at)
  local a = argumentsAt(at)
  local s = q.load(a[1])
  -- A node that was taken for gone, and whose leases went to others, must lease nothing: its leases would never be given back.
  if not s or call('SISMEMBER', P .. 'lessees', a[4]) == 0 then return {} end
  local count, bytes = tonumber(a[2]), tonumber(a[3])
  local result = { g = {}, f = {}, first = #leased, count = 0, bytes = 0 }
  q.byTime(s)
  q.heads(s)
  q.flush(s)
  local line, lease = q.key(s.k, ':r'), q.key(s.k, ':l:' .. a[4])
  call('ZREM', q.key(s.k, ':w'), node)
  call('ZREM', q.key(s.k, ':wc'), node)
  -- Nodes that have something to do with it as well get their share.
  local others = call('ZCARD', q.key(s.k, ':w')) + call('ZCOUNT', q.key(s.k, ':wc'), now - 200, '+inf')
  local ready = others > 0 and call('ZCARD', line) + s.packed
  if others > 0 then count = math.min(count, math.ceil(ready / (others + 1))) end
  while result.count < count and result.bytes < bytes and #aside < 500 do
    q.heads(s)
    q.flush(s)
    if not q.leaseSome(s, line, lease, count - result.count, bytes, result) then break end
  end
  if #result.g == 0 then call('ZADD', q.key(s.k, ':w'), 'NX', now, node) else call('SADD', P .. 'l:' .. a[4], s.k) end
  return result
end
`
