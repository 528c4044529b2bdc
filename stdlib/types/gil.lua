---@meta gil
-- made by `baton doc` from the texts of the functions; not edited by hand

---A recording by gil.trace or async.trace. Closable.
---```lua
---local gil = require "gil"
---local trace = gil.trace()
---trace:close()
---print(type(trace:text "svg"))  --> string
---```
---@class Trace
local Trace = {}

---Ends the recording and writes the file, if one was named.
function Trace:close() end

---A list of {thread=, name=, state=, from=, to=} in the order of time, up to now or to the close; state is "run", "wait", "released" or "parked", times are those of time.monotonic().
---@return table
function Trace:events() end

---The timeline in a format: "text" (the default), "json", "svg" or "html".
---
---*Raises:* "invalid format".
---@param format? string
---@return string
function Trace:text(format) end

---Figures and pictures of the global interpreter lock, and its switch interval.
---@class gil
local gil = {}

---Calls f without any forced switch to another native thread and returns its results.
---
---*Raises:* a wait inside f that would park raises.
---```lua
---local gil = require "gil"
---local n = 0
---gil.hold(function() for _ = 1, 1000 do n = n + 1 end end)
---print(n)  --> 1000
---```
---@param f function
---@param ... any
---@return any ...
function gil.hold(f, ...) end

---Figures since the start or the last reset: {switches, forced, voluntary, held, waited, longest={seconds, where}, threads={[id]={name, held, waited, released, switches, forced, voluntary}}}, times in seconds; the last thousand native threads that have ended are among them. With true they begin anew afterwards.
---```lua
---local gil = require "gil"
---print(gil.stats().forced)  --> 0
---```
---@param reset? boolean
---@return table
function gil.stats(reset) end

---Lets the native thread run that waits longest for the lock. Whether there was one.
---```lua
---local gil = require "gil"
---print(gil.switch())  --> false
---```
---@return boolean
function gil.switch() end

---How long a native thread keeps the GIL while others want it; with an argument (0.00005 to 1) sets it first.
---
---*Raises:* a bad argument outside that range.
---```lua
---local gil = require "gil"
---print(gil.switch_interval())  --> 0.005
---```
---@param seconds? number
---@return number
function gil.switch_interval(seconds) end

---Begins to record who holds the lock when. A path (or path=, with format= "json", "svg", "html" or "text") says where it is written at the close; without one it stays in memory.
---
---*Fails:* nil, message, code if the file cannot be made.
---```lua
---local gil = require "gil"
---local thread = require "thread"
---local trace = gil.trace()
---thread.spawn(function() for _ = 1, 1e5 do end end):join()
---trace:close()
---print(trace:events()[1].state)  --> run
---```
---@param options? string|table
---@return Trace?
---@return string? message
---@return string? code
function gil.trace(options) end

---The number of native threads that wait for the GIL at this moment.
---```lua
---local gil = require "gil"
---print(gil.waiters())  --> 0
---```
---@return integer
function gil.waiters() end

return gil
