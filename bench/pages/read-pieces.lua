-- Reads the body in pieces of 64 KiB and says how long it was.
function main(env, con)
  local bytes = 0
  for piece in function() return con:gets(65536) end do bytes = bytes + #piece end
  con:header("Content-Type", "text/plain")
  con:puts(string.format("%.0f\n", bytes))
end
