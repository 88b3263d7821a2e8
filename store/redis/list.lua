-- One List: the ids of an index and their documents, from one moment.
-- KEYS[1] the index. The documents are found in it and cannot be declared; they
-- carry the same hash tag.
-- ARGV: the range command, its two bounds, offset, limit, the documents' prefix.
-- Answers id, fields, id, fields, ...
local ids = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', ARGV[4], ARGV[5])
local out = {}
for _, id in ipairs(ids) do
  out[#out + 1] = id
  out[#out + 1] = redis.call('HGETALL', ARGV[6] .. id)
end
return out
