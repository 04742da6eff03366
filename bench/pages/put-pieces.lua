-- As many MiB as the query asks for, in pieces of 64 KiB.
local piece = string.rep("0123456789abcdef", 4096)

function main(env, con)
  con:header("Content-Type", "application/octet-stream")
  for _ = 1, tonumber(env.QUERY_STRING) * 16 do con:puts(piece) end
end
