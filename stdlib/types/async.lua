---@meta async
-- made by `baton doc` from the texts of the functions; not edited by hand

---What async.context makes: closable. Its field value is what the function yielded first.
---@class Context
---@field value any What the function yielded, the first value.
local Context = {}

---Runs the function on, from behind its yield to its end.
---
---*Waits:* parks the task.
---@async
function Context:close() end

---A result that somebody will hand in, from any native thread.
---```lua
---local async = require "async"
---local f = async.future()
---f:on_done(function() print(f:result()) end)
---f:reject("no")
---print(f:status())   --> failed
---async.checkpoint()  --> false	no
---```
---@class Future
---@field id integer Tells futures apart.
---@field name string "future".
local Future = {}

---Waits until it has ended; returns what it was resolved with or raises what it was rejected with; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any ...
function Future:await(timeout) end

---Ends it: who awaits it gets a cancellation. Whether it had not ended.
---@param reason? any
---@return boolean
function Future:cancel(reason) end

---Whether it has ended.
---@return boolean
function Future:done() end

---The same as await.
---@param timeout? number
---@return any ...
function Future:join(timeout) end

---Calls f(future) in a task of its own when it has ended. Returns that task.
---@param f function
---@return Task
function Future:on_done(f) end

---Ends it with an error.
---
---*Raises:* "the future has ended already".
---@param e any
function Future:reject(e) end

---Ends it with results.
---
---*Raises:* "the future has ended already".
---@param ... any
function Future:resolve(...) end

---Like await, but returns true and the results, or false and the error.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
---@return any ...
function Future:result(timeout) end

---"pending", "done", "failed" or "cancelled".
---@return string
function Future:status() end

---What async.scope makes: it owns tasks. Closable; #s is the number of live children.
---```lua
---local async = require "async"
---local s <close> = async.scope()
---local t = s:spawn(function() return "child" end)
---print(#s, t:await())  --> 1	child
---s:wait()
---```
---@class Scope
---@operator len: integer
local Scope = {}

---Cancels its body and its children. Whether it was not cancelled before.
---@param reason? any
---@return boolean
function Scope:cancel(reason) end

---Waits for the children.
---
---*Raises:* the first error among them.
---
---*Waits:* parks the task.
---@async
function Scope:close() end

---A list of the errors of children, the first one first.
---@return table
function Scope:errors() end

---Spawns a task of this scope; waits for a place if the scope has a limit. Options: name.
---
---*Raises:* "the scope is closed".
---
---*Waits:* parks the task, under a limit only.
---@async
---@param f function
---@param ... any
---@return Task
---@overload fun(self: Scope, options: table, f: function, ...: any): Task
function Scope:spawn(f, ...) end

---Waits until no child is left; the scope stays open. nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function Scope:wait(timeout) end

---A function that runs beside others of its native thread.
---```lua
---local async = require "async"
---local t = async.spawn({name = "adder"}, function(a, b) async.sleep(0.001) return a + b end, 1, 2)
---t:on_done(function() print(t:status()) end)
---print(t.name, t:done(), t:await())  --> adder	false	3
---async.checkpoint()                  --> done
---```
---@class Task
---@field id integer Its number.
---@field name string The name it was given, or task-N.
local Task = {}

---Waits until the task has ended and returns the results of its function, or raises the same error value that it raised; nil, "timeout", "ETIMEDOUT" if the timeout (seconds) comes first: the task goes on.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any ...
function Task:await(timeout) end

---Asks the task to end and returns at once, true if it had not ended: a cancellation is raised at its next waiting point, and again at every later one.
---@param reason? any
---@return boolean
function Task:cancel(reason) end

---Whether it has ended.
---@return boolean
function Task:done() end

---The same as await.
---@param timeout? number
---@return any ...
function Task:join(timeout) end

---Calls f(task) in a task of its own when it has ended. Returns that task.
---@param f function
---@return Task
function Task:on_done(f) end

---Like await, but returns true and the results, or false and the error value, as pcall does.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
---@return any ...
function Task:result(timeout) end

---"pending", "running", "waiting", "done", "failed" or "cancelled".
---@return string
function Task:status() end

---Where the task stands, or where its error came from.
---@return string
function Task:traceback() end

---Tasks are light: each has a stack of its own and runs until it waits; then others of its native thread run. Nothing marks a function that waits. Scopes own tasks, so none is forgotten: a scope ends when all in it have ended. Wherever functions are expected a callable object will do. What is spawned runs at the next wait.
---@class async
local async = {}

---A task that sleeps so long and then calls f.
---```lua
---local async = require "async"
---print(async.after(0.001, math.max, 1, 2):await())  --> 2
---```
---@param seconds number
---@param f function
---@param ... any
---@return Task
function async.after(seconds, f, ...) end

---The index and the results of the first of a list to succeed; the others are cancelled and have ended when it returns.
---
---*Raises:* a list of all errors if none succeeds; a bad argument for an empty list.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(async.any{function() error "no" end, function() return "yes" end})  --> 2	yes
---```
---@async
---@param list table
---@return integer
---@return any ...
function async.any(list) end

---For a generic for: the functions (as tasks) and awaitables of a list in the order in which they end. Leaving the loop cancels what it started itself.
---
---*Waits:* each step parks the task.
---```lua
---local async = require "async"
---local function after(s) return function() async.sleep(s) return s end end
---for task in async.as_completed{after(0.05), after(0.001)} do print(task:await()) end
-----> 0.001
-----> 0.05
---```
---@async
---@param list table
---@return function
---@return nil
---@return nil
---@return function
function async.as_completed(list) end

---Lets all other tasks that are ready run first.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---async.spawn(print, "other")
---async.checkpoint()  --> other
---```
---@async
function async.checkpoint() end

---What f does before its one yield happens now, what it does behind it at the close, which may wait. Returns a closable object and what f yielded.
---
---*Raises:* "a context's function must yield once".
---
---*Waits:* runs f, which may wait.
---```lua
---local async = require "async"
---local function logged(name)
---  print("begin " .. name)
---  coroutine.yield()
---  print("end " .. name)
---end
---do
---  local _ <close> = async.context(logged, "work")
---  print "working"
---end
-----> begin work
-----> working
-----> end work
---```
---@async
---@param f function
---@param ... any
---@return Context
---@return any ...
function async.context(f, ...) end

---The running Task; the Thread, in a native thread's body.
---```lua
---local async = require "async"
---print(async.spawn({name = "t"}, function() return async.current().name end):await())  --> t
---```
---@return Task|Thread
function async.current() end

---Like timeout, but until a time of time.monotonic().
---
---*Waits:* calls f, which may wait.
---```lua
---local async = require "async"
---local time = require "time"
---print(async.deadline(time.monotonic() + 0.01, async.sleep, 10))  --> nil	timeout	ETIMEDOUT
---```
---@async
---@param at number
---@param f function
---@param ... any
---@return any ...
function async.deadline(at, f, ...) end

---A task that runs for longer than `slow` (0.1) seconds without letting others run is reported: on_slow(task, seconds, position) is called in a task of its own; without it standard error tells. false ends it.
---```lua
---local async = require "async"
---async.debug{slow = 0.5, on_slow = function(task, seconds, position) print(position) end}
---async.debug(false)
---```
---@param options? table|boolean
function async.debug(options) end

---For a generic for: tick numbers, one every so many seconds, counted from now; ticks that are late are skipped.
---
---*Waits:* each step parks the task.
---```lua
---local async = require "async"
---for tick in async.every(0.01) do
---  if tick >= 2 then break end
---end
---```
---@async
---@param seconds number
---@return function
---@return nil
---@return nil
---@return function
function async.every(seconds) end

---A Future, to be resolved or rejected once, from any native thread.
---```lua
---local async = require "async"
---local f = async.future()
---async.spawn(function() f:resolve(1, 2) end)
---print(f:await())  --> 1	2
---```
---@return Future
function async.future() end

---Runs functions and waits for awaitables, all at once; returns their first results in order. Given one list, returns a list with the field n. The first failure cancels the rest and is raised.
---
---*Raises:* the first error.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---local function double(n) return function() async.sleep(0.001) return 2 * n end end
---print(async.gather(double(1), double(2)))  --> 2	4
---print(async.gather{double(1), double(2)}.n)  --> 2
---```
---@async
---@param ... function|Task|Future|Thread|table
---@return any ...
function async.gather(...) end

---For a generic for: what f yields, until it returns. f may wait between its yields. Leaving the loop runs f's <close> variables.
---
---*Raises:* what f raises.
---
---*Waits:* each step runs f, which may wait.
---```lua
---local async = require "async"
---local function lines(n) for i = 1, n do async.sleep(0.001) coroutine.yield("line " .. i) end end
---for line in async.generator(lines, 2) do print(line) end
-----> line 1
-----> line 2
---```
---@async
---@param f function
---@param ... any
---@return function
---@return nil
---@return nil
---@return function
function async.generator(f, ...) end

---For a generic for: index and results of f for every element as they complete. Options: limit. The first failure is raised; leaving the loop cancels the rest.
---
---*Waits:* each step parks the task.
---```lua
---local async = require "async"
---for i, square in async.imap({3, 4}, {limit = 1}, function(n) return n * n end) do print(i, square) end
-----> 1	9
-----> 2	16
---```
---@async
---@param list table
---@param f function
---@return function
---@return nil
---@return nil
---@return function
---@overload fun(list: table, options: table, f: function): function, nil, nil, function
function async.imap(list, f) end

---Whether an error value tells of a cancellation; that of an expired scope does, too.
---```lua
---local async = require "async"
---local t = async.spawn(async.sleep, 10)
---t:cancel()
---print(async.is_cancelled(select(2, t:result())))  --> true
---```
---@param e? any
---@return boolean
function async.is_cancelled(e) end

---Whether an error value tells of a scope whose time was over.
---```lua
---local async = require "async"
---local ok, e = pcall(async.scope, {timeout = 0.01}, function() async.sleep(10) end)
---print(ok, async.is_timeout(e))  --> false	true
---```
---@param e? any
---@return boolean
function async.is_timeout(e) end

---Figures of the running native thread: {ready=, timers=, handles=, tasks=, polls=}.
---```lua
---local async = require "async"
---print(async.loop().tasks >= 0)  --> true
---```
---@return table
function async.loop() end

---The first results of f for every element, in order, by tasks. The first failure cancels the rest and is raised. Options: limit, so many tasks at once.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(table.concat(async.map({1, 2, 3}, {limit = 2}, function(n) async.sleep(0.001) return n * n end), " "))  --> 1 4 9
---```
---@async
---@param list table
---@param f function
---@return table
---@overload fun(list: table, options: table, f: function): table
function async.map(list, f) end

---The index and the results of the first of a list to end; the others are cancelled and have ended when it returns.
---
---*Raises:* the error of the first to end if it failed; a bad argument for an empty list.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(async.race{function() async.sleep(10) end, function() return "fast" end})  --> 2	fast
---```
---@async
---@param list table
---@return integer
---@return any ...
function async.race(list) end

---Runs f in a fresh scope and waits for all that it spawned; returns its results. Works anywhere, also inside a task.
---
---*Waits:* calls f, which may wait.
---```lua
---local async = require "async"
---print(async.run(function() async.spawn(print, "child") return "done" end))
-----> child
-----> done
---```
---@async
---@param f function
---@param ... any
---@return any ...
function async.run(f, ...) end

---A scope that owns the tasks spawned in it. Closing it waits for them; the first error among them cancels the body and the others and is raised at the close. With a function: calls f(scope), closes the scope and returns f's results. Options: limit, so many children at once; name; timeout, seconds, or deadline, a time of time.monotonic(), when it is cancelled; grace, how many seconds (5) closing may take after that.
---
---*Raises:* what a child raised; an error that is_timeout knows.
---
---*Waits:* the close parks the task.
---```lua
---local async = require "async"
---do
---  local s <close> = async.scope{limit = 2}
---  for i = 1, 3 do s:spawn(function() async.sleep(0.001 * i) print(i) end) end
---end
-----> 1
-----> 2
-----> 3
---```
---@async
---@param options? table
---@param f? function
---@return Scope|any ...
function async.scope(options, f) end

---Lets all functions and awaitables of a list end and returns a list, in order, of {ok=true, value=} and {ok=false, error=}. Nobody is cancelled.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---local ends = async.settle{function() return 1 end, function() error("no", 0) end}
---print(ends[1].value, ends[2].error)  --> 1	no
---```
---@async
---@param list table
---@return table
function async.settle(list) end

---Calls f in the current task and returns its results; a cancellation from outside waits until it has returned.
---
---*Waits:* calls f, which may wait.
---```lua
---local async = require "async"
---print(async.shield(function() async.sleep(0.001) return "saved" end))  --> saved
---```
---@async
---@param f function
---@param ... any
---@return any ...
function async.shield(f, ...) end

---Lets the task sleep, never shorter than that; other tasks and native threads run. 0 or less: a checkpoint.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---async.sleep(0.001)
---```
---@async
---@param seconds number
function async.sleep(seconds) end

---Sleeps until a time of time.monotonic().
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---async.sleep_until(require "time".monotonic() + 0.001)
---```
---@async
---@param at number
function async.sleep_until(at) end

---A task that calls f with the arguments. It runs at the next wait of the running one, and belongs to the innermost scope. Options: name, a string; detached=true: it belongs to no scope.
---```lua
---local async = require "async"
---local t = async.spawn(function(a, b) return a + b end, 1, 2)
---print(t:await())  --> 3
---```
---@param f function
---@param ... any
---@return Task
---@overload fun(options: table, f: function, ...: any): Task
function async.spawn(f, ...) end

---The running task's table; tasks spawned, to_thread and submit begin with a copy.
---```lua
---local async = require "async"
---print(async.spawn(function()
---  async.storage().user = "ada"
---  return async.spawn(function() return async.storage().user end):await()
---end):await())  --> ada
---```
---@return table
function async.storage() end

---A list of the tasks of the running native thread that have not ended, the oldest first.
---```lua
---local async = require "async"
---local t = async.spawn(async.sleep, 0)
---print(#async.tasks())  --> 1
---```
---@return table
function async.tasks() end

---Calls f in the current task and returns its results, or nil, "timeout", "ETIMEDOUT" if it was not done in time: it is then cancelled at its next waiting point.
---
---*Waits:* calls f, which may wait.
---```lua
---local async = require "async"
---print(async.timeout(0.01, async.sleep, 10))       --> nil	timeout	ETIMEDOUT
---print(async.timeout(10, math.max, 1, 2))          --> 2
---```
---@async
---@param seconds number
---@param f function
---@param ... any
---@return any ...
function async.timeout(seconds, f, ...) end

---Calls f in a native thread of a pool, of min(32, processors + 4), and returns its results. A timeout or cancellation gives up the wait; a job that has begun runs on.
---
---*Raises:* what f raises.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(async.to_thread(function() return (require "thread".current().name:gsub("%d+", "N")) end))  --> to_thread-N
---```
---@async
---@param f function
---@param ... any
---@return any ...
function async.to_thread(f, ...) end

---Records what every task does: running, waiting for its turn, or for something. The Trace is closable; a path (or path=, with format= "json", "svg", "html" or "text") says where it is written then.
---
---*Fails:* nil, message, code if the file cannot be made.
---```lua
---local async = require "async"
---local trace <close> = async.trace()
---async.spawn(async.sleep, 0.001):await()
---print(#trace:events() > 0)  --> true
---```
---@param options? string|table
---@return Trace?
---@return string? message
---@return string? code
function async.trace(options) end

---Like pcall, but lets cancellations through.
---```lua
---local async = require "async"
---print(async.try(error, "no", 0))  --> false	no
---```
---@param f function
---@param ... any
---@return boolean
---@return any ...
function async.try(f, ...) end

---Waits for a list of functions and awaitables. Returns those that have ended, in the order of ending, and those that have not. Options: mode="all" (the default), "first" or "first_error"; count, so many; timeout in seconds. Raises no errors of theirs and cancels nothing.
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---local slow = async.spawn(async.sleep, 10)
---local done, pending = async.wait({slow, function() return 1 end}, {mode = "first"})
---print(#done, pending[1] == slow)  --> 1	true
---slow:cancel()
---```
---@async
---@param list table
---@param options? table
---@return table
---@return table
function async.wait(list, options) end

---Waits until a descriptor can be read. True, or nil, "timeout", "ETIMEDOUT".
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(async.wait_readable(0, 1))  --> true
---```
---@async
---@param fd integer
---@param timeout? number
---@return boolean?
function async.wait_readable(fd, timeout) end

---Waits until a descriptor can be written. True, or nil, "timeout", "ETIMEDOUT".
---
---*Waits:* parks the task.
---```lua
---local async = require "async"
---print(async.wait_writable(1, 1))  --> true
---```
---@async
---@param fd integer
---@param timeout? number
---@return boolean?
function async.wait_writable(fd, timeout) end

async.acquire_all = require("thread").acquire_all

async.atomic = require("thread").atomic

async.barrier = require("thread").barrier

async.condition = require("thread").condition

async.event = require("thread").event

async.lock = require("thread").lock

async.once = require("thread").once

async.priority_queue = require("thread").priority_queue

async.queue = require("thread").queue

async.rlock = require("thread").rlock

async.semaphore = require("thread").semaphore

return async
