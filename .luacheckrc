-- All scripts of the repository are clean with this: Lua 5.4 without new globals. `lua-check` of Debian reads it.
std = "lua54"
max_line_length = 150
max_string_line_length = false  -- pages that are embedded
ignore = {
  "311",  -- a first value may be a default
  "431",  -- a local in an inner function may have the name of one outside
  "581",  -- not (a < b) also holds for NaN
}
files["scripts/gil/memory_model.script"] = {globals = {"shared_global"}}
files["tools/examples/handler.script"] = {globals = {"handle"}, read_globals = {"log", "slow_square"}}  -- what its host offers
