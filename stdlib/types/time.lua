---@meta time
-- made by `baton doc` from the texts of the functions; not edited by hand

---@class time
local time = {}

---Seconds of processor time that all native threads of this process have used.
---```lua
---local time = require "time"
---print(time.cpu() > 0)  --> true
---```
---@return number
function time.cpu() end

---Calls f; returns the seconds it took, then its results.
---```lua
---local time = require "time"
---local seconds, sum = time.measure(function(a, b) return a + b end, 1, 2)
---print(seconds >= 0, sum)  --> true	3
---```
---@param f function
---@param ... any
---@return number
---@return any ...
function time.measure(f, ...) end

---Seconds on a clock that never goes back; its start means nothing, but all processes of a machine share it.
---```lua
---local time = require "time"
---local began = time.monotonic()
---print(time.monotonic() >= began)  --> true
---```
---@return number
function time.monotonic() end

---Seconds since the start of 1970, with fractions. This clock may be set.
---```lua
---local time = require "time"
---print(time.now() > 1.7e9)  --> true
---```
---@return number
function time.now() end

---Blocks the native thread, tasks included, for at least so long.
---
---*Waits:* blocks the native thread; the lock is free. async.sleep parks only the task.
---```lua
---local time = require "time"
---time.sleep(0.001)
---```
---@param seconds number
function time.sleep(seconds) end

---Seconds of processor time that the running native thread has used.
---```lua
---local time = require "time"
---print(time.thread_cpu() > 0)  --> true
---```
---@return number
function time.thread_cpu() end

return time
