-- Computes for as many rounds as the query asks, and says what came out: the same for the same number of rounds.
function main(env, con)
  local value = 0
  for round = 1, tonumber(env.QUERY_STRING) do value = (value * 31 + round) % 1000003 end
  con:header("Content-Type", "text/plain; charset=utf-8")
  con:puts("Computed: " .. value .. "\n")
end
