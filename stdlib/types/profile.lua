---@meta profile
-- made by `baton doc` from the texts of the functions; not edited by hand

---A recording by profile.start. Closable.
---```lua
---local profile = require "profile"
---local p = profile.start()
---for _ = 1, 1e5 do end
---p:close()
---print(p:duration() > 0, type(p:text "svg"))  --> true	string
---```
---@class Profile
local Profile = {}

---Ends the sampling and writes the file, if one was named.
---
---*Raises:* a message if the file cannot be written.
function Profile:close() end

---Seconds and samples so far.
---@return number
---@return integer
function Profile:duration() end

---The text of a file in a format: "html", "svg" or "speedscope".
---
---*Raises:* "invalid format".
---@param format string
---@return string
function Profile:text(format) end

---What each native thread did: {id=, name=, run=, lock=, wait=}, seconds. Waiting tasks count each for itself.
---@return table
function Profile:threads() end

---The n (10) functions that ran most: {name=, where=, source=, line=, self=, total=, share=, samples=, hottest=, lock=, waiting=}, seconds; share is the part of all running time, hottest the line that ran most.
---@param n? integer
---@return table
function Profile:top(n) end

---A sampling profiler: it looks at safepoints what every native thread and task does. `baton --profile script` does the same from outside.
---@class profile
local profile = {}

---Begins to take samples of all native threads and tasks. A path (or path=) says which file is written at the close.
---Options: path, hz (1000, at most 10000), format "html", "svg" or "speedscope" (by the path's extension).
---
---*Fails:* nil, message, code if the file cannot be made.
---```lua
---local profile = require "profile"
---local running <close> = profile.start{hz = 100}
---local sum = 0
---for i = 1, 1e6 do sum = sum + i end
---print(#running:top(3) <= 3)  --> true
---```
---@param options? string|table
---@return Profile?
---@return string? message
---@return string? code
function profile.start(options) end

return profile
