---@meta thread
-- made by `baton doc` from the texts of the functions; not edited by hand

---A value that changes in single steps, for counters and flags.
---```lua
---local thread = require "thread"
---local a = thread.atomic(5)
---print(a:add(), a:compare_exchange(6, 10), a:get())  --> 6	true	10
---```
---@class Atomic
local Atomic = {}

---Adds n (1) and returns the new value, in one step.
---
---*Raises:* "the atomic's value is not a number".
---@param n? number
---@return number
function Atomic:add(n) end

---Sets the value to new if it is (rawly equal to) old, in one step. Whether it was.
---@param old any
---@param new any
---@return boolean
function Atomic:compare_exchange(old, new) end

---The value.
---@return any
function Atomic:get() end

---Sets the value.
---@param v any
function Atomic:set(v) end

---A place where a number of tasks meet.
---```lua
---local thread = require "thread"
---print(thread.barrier(1):wait())  --> 1
---```
---@class Barrier
local Barrier = {}

---Waits until as many tasks wait as the barrier has parties; then all go on. The order of arrival, from 1, or nil, "timeout", "ETIMEDOUT".
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return integer?
function Barrier:wait(timeout) end

---Something to wait for under a lock: wait releases it meanwhile.
---```lua
---local thread = require "thread"
---local c = thread.condition()
---local _ <close> = c:acquire()
---print(c:wait_for(function() return "it is so" end), c:wait(0))  --> it is so	nil	timeout	ETIMEDOUT
---```
---@class Condition
local Condition = {}

---Acquires the condition's lock, as Lock:acquire.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return Guard
function Condition:acquire(timeout) end

---The lock that belongs to the condition.
---@return Lock
function Condition:lock() end

---Lets the n (1) tasks go on that wait longest. The lock must be held.
---
---*Raises:* "the condition's lock is not held"; "the condition's lock is held by another task".
---@param n? integer
function Condition:notify(n) end

---Lets all waiting tasks go on. The lock must be held.
---
---*Raises:* as notify.
function Condition:notify_all() end

---Releases the condition's lock, as Lock:release.
function Condition:release() end

---Releases the lock, waits for a notification and acquires the lock again. True, or nil, "timeout", "ETIMEDOUT".
---
---*Raises:* as notify.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function Condition:wait(timeout) end

---Waits until f() is true, asking at first and after each notification, with the lock held; returns what it gave, or nil, "timeout", "ETIMEDOUT".
---
---*Raises:* as Condition:wait.
---
---*Waits:* parks the task.
---@async
---@param f function
---@param timeout? number
---@return any
function Condition:wait_for(f, timeout) end

---A switch that tasks wait for.
---```lua
---local thread = require "thread"
---local e = thread.event()
---e:set()
---print(e:wait(), e:is_set())  --> true	true
---e:clear()
---print(e:wait(0))             --> nil	timeout	ETIMEDOUT
---```
---@class Event
local Event = {}

---From now on waits wait.
function Event:clear() end

---Whether the event is set.
---@return boolean
function Event:is_set() end

---Lets all waiting tasks go on, and all that wait later.
function Event:set() end

---Waits until the event is set. True, or nil, "timeout", "ETIMEDOUT".
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function Event:wait(timeout) end

---A pool of workers, native threads (thread.pool) or processes (process.pool). Closable: that waits for all jobs.
---```lua
---local thread = require "thread"
---local pool <close> = thread.pool{workers = 2}:ready()
---for i, upper in pool:imap({"a", "b"}, {chunk = 2}, string.upper) do print(i, upper) end
-----> 1	A
-----> 2	B
---```
---@class Executor
local Executor = {}

---Gives up what is not done: the futures are cancelled; native threads that run a job are, too, and processes are killed. So does an error that leaves the scope of the executor.
---@param reason? any
---@return boolean
function Executor:cancel(reason) end

---Takes no more jobs, waits until all have been run and the workers have ended.
---
---*Waits:* parks the task.
---@async
---@return boolean
function Executor:close() end

---For a generic for: index and results of f for every element, in the order in which they are done. Options: chunk. Leaving the loop drops what has not begun.
---
---*Raises:* as map.
---
---*Waits:* each step parks the task.
---@async
---@param list table
---@param f function
---@return function
---@return nil
---@return nil
---@return function
---@overload fun(self: Executor, list: table, options: table, f: function): function, nil, nil, function
function Executor:imap(list, f) end

---The first results of f for every element, in order. The first error is raised, and what has not begun is dropped. Options: chunk, so many elements (1) per job.
---
---*Raises:* what f raises; "worker died: signal 9" and the like.
---
---*Waits:* parks the task.
---@async
---@param list table
---@param f function
---@return table
---@overload fun(self: Executor, list: table, options: table, f: function): table
function Executor:map(list, f) end

---Waits until all workers run.
---
---*Waits:* parks the task.
---@async
---@return Executor
function Executor:ready() end

---A future of all results of f(...), run by one of the workers. To a process f and the arguments travel as copies.
---
---*Raises:* "the executor is closed"; for processes what cannot travel, with its path ("upvalue 'cfg'.sock is a Stream").
---@param f function
---@param ... any
---@return Future
function Executor:submit(f, ...) end

---What Lock:acquire returns: closable, releases once.
---@class Guard
local Guard = {}

---The same as release.
function Guard:close() end

---Releases the lock that this guard stands for; later calls do nothing.
function Guard:release() end

---What acquire_all returns: closable, releases all.
---@class Guards
local Guards = {}

---The same as release.
function Guards:close() end

---Releases all locks that this guard of acquire_all stands for; later calls do nothing.
function Guards:release() end

---A mutual exclusion, held by tasks, first come, first served. Releasing is left to the guard that acquire returns.
---```lua
---local thread = require "thread"
---local l = thread.lock()
---print(l:with(function() return l:try_acquire() end))  --> false
---```
---@class Lock
local Lock = {}

---Waits until the running task holds the lock, first come, first served, and returns a guard, whose __close releases it: `local _ <close> = l:acquire()`.
---
---*Raises:* "timeout: the lock did not become free within ... seconds"; "deadlock: ..." if a cycle of waits is closed by this one.
---
---*Waits:* parks the task.
---```lua
---local thread = require "thread"
---local l = thread.lock()
---do
---  local _ <close> = l:acquire()
---  print(l:locked())  --> true
---end
---print(l:locked())    --> false
---```
---@async
---@param timeout? number
---@return Guard
function Lock:acquire(timeout) end

---Whether somebody holds the lock.
---@return boolean
function Lock:locked() end

---Releases the lock.
---
---*Raises:* "the lock is not held"; another message if another task holds it.
function Lock:release() end

---A guard if the lock is free, or becomes free within the timeout (0 seconds), else false.
---
---*Waits:* parks the task, with a timeout only.
---@async
---@param timeout? number
---@return Guard|boolean
function Lock:try_acquire(timeout) end

---Calls f holding the lock and returns its results.
---
---*Waits:* parks the task.
---@async
---@param f function
---@param ... any
---@return any ...
function Lock:with(f, ...) end

---What Semaphore:acquire returns: closable, gives the place back once.
---@class Permit
local Permit = {}

---The same as release.
function Permit:close() end

---Gives the place back that this guard stands for; later calls do nothing.
function Permit:release() end

---A Queue that gives the smallest priority first; it has the same methods, and put(v, priority, timeout?).
---@class PriorityQueue: Queue
---@field max integer? How many values it takes at most; nil: any number.
local PriorityQueue = {}

---Values, first in, first out, between tasks and native threads. Closable; #q is how many are in it.
---```lua
---local thread = require "thread"
---local q = thread.queue(1)
---print(q:put("a"), q:try_put("b"))    --> true	false	full
---print(q:get(), q:try_get())          --> a	nil	empty
---q:close()
---print(q:get())                       --> nil	closed
---```
---@class Queue
---@operator len: integer
---@field max integer? How many values it takes at most; nil: any number.
local Queue = {}

---Takes no more values: put raises, get takes what is left and then gives nil, "closed". Tasks that wait are let go.
function Queue:close() end

---The next value, waited for. nil, "closed" when it is closed and empty; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any
function Queue:get(timeout) end

---A closable iterator over the values until the queue is closed and empty: `for v in q:iter() do`.
---
---*Waits:* each step parks the task.
---@async
---@return function
function Queue:iter() end

---Waits until task_done was called for every value that was put; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function Queue:join(timeout) end

---Adds a value, waiting for a place if the queue is bounded; a priority queue takes put(v, priority, timeout?) and gives the smallest priority first. True, or nil, "timeout", "ETIMEDOUT".
---
---*Raises:* "the queue is closed"; a bad argument for nil.
---
---*Waits:* parks the task.
---@async
---@param v any
---@param timeout? number
---@return boolean?
function Queue:put(v, timeout) end

---Reports that a value that was taken has been dealt with.
---
---*Raises:* "task_done called more often than values were put".
function Queue:task_done() end

---The next value, or nil and "empty" or "closed"; it does not wait.
---@return any
---@return string
function Queue:try_get() end

---Adds a value if there is a place: true, else false, "full"; it does not wait.
---
---*Raises:* "the queue is closed"; a bad argument for nil.
---@param v any
---@return boolean
---@return string
function Queue:try_put(v) end

---What Queue:iter returns: call it for the next value; closable.
---@class QueueIterator
---@overload fun(): any
local QueueIterator = {}

---Ends the iteration; the queue stays as it is.
function QueueIterator:close() end

---A Lock that its holder may acquire again; it has the same methods.
---@class RLock: Lock
local RLock = {}

---Places, given to who comes first.
---```lua
---local thread = require "thread"
---local places = thread.semaphore(1)
---print(places:with(function() return places:locked() end), places:locked())  --> true	false
---```
---@class Semaphore
local Semaphore = {}

---Waits for a place, first come, first served, and returns a guard, whose __close gives it back.
---
---*Raises:* "timeout: the semaphore had no place within ... seconds".
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return Permit
function Semaphore:acquire(timeout) end

---Whether no place is free.
---@return boolean
function Semaphore:locked() end

---Gives one place back, or adds one.
function Semaphore:release() end

---A guard if there is a place, at once or within the timeout (0 seconds), else false.
---
---*Waits:* parks the task, with a timeout only.
---@async
---@param timeout? number
---@return Permit|boolean
function Semaphore:try_acquire(timeout) end

---Calls f holding a place and returns its results.
---
---*Waits:* parks the task.
---@async
---@param f function
---@param ... any
---@return any ...
function Semaphore:with(f, ...) end

---A native thread; Lua's own type "thread" is a coroutine.
---```lua
---local thread = require "thread"
---local t = thread.spawn({name = "worker"}, function() return thread.current().name end)
---print(t:join(), t:status())  --> worker	done
---```
---@class Thread
---@field id integer Its number, from 1, the main one.
---@field name string The name it was given, or Thread-N.
local Thread = {}

---The same as join.
---@param timeout? number
---@return any ...
function Thread:await(timeout) end

---Asks the native thread to end and returns at once, true if it had not ended: a cancellation with that reason is raised in it at its next loop, call or wait, and again at every later wait.
---```lua
---local thread = require "thread"
---local t = thread.spawn(function() while true do end end)
---t:cancel("enough")
---print(t:result() == false, t:status())  --> true	cancelled
---```
---@param reason? any
---@return boolean
function Thread:cancel(reason) end

---Whether it has ended.
---@return boolean
function Thread:done() end

---Waits until the native thread has ended and returns the results of its function, or raises the same error value that it raised; nil, "timeout", "ETIMEDOUT" if the timeout (seconds) comes first.
---
---*Raises:* "a native thread cannot wait for its own end".
---
---*Waits:* parks the task.
---```lua
---local thread = require "thread"
---local t = thread.spawn(function() error {code = 7} end)
---print(select(2, pcall(t.join, t)).code)  --> 7
---```
---@async
---@param timeout? number
---@return any ...
function Thread:join(timeout) end

---Calls f(thread) in a task of the calling native thread when it has ended.
---@param f function
---@return Task
function Thread:on_done(f) end

---Like join, but returns true and the results, or false and the error value, as pcall does.
---
---*Waits:* parks the task.
---```lua
---local thread = require "thread"
---print(thread.spawn(error, "no", 0):result())
---```
---@async
---@param timeout? number
---@return boolean?
---@return any ...
function Thread:result(timeout) end

---Spawns a task on that native thread: it runs when that one waits.
---
---*Raises:* "the native thread has ended".
---@param f function
---@param ... any
---@return Task
function Thread:spawn(f, ...) end

---"pending", "running", "waiting", "done", "failed" or "cancelled".
---@return string
function Thread:status() end

---What thread.scope makes: it owns native threads. Closable; #s is the number of live children.
---@class ThreadScope
---@operator len: integer
local ThreadScope = {}

---Asks the body and all children to end.
---@param reason? any
---@return boolean
function ThreadScope:cancel(reason) end

---Waits for the children.
---
---*Raises:* the first error among them.
---
---*Waits:* parks the task.
---@async
function ThreadScope:close() end

---A list of the errors of children, the first one first.
---@return table
function ThreadScope:errors() end

---Starts a native thread that the scope waits for; waits for a place if the scope has a limit. Options as thread.spawn.
---
---*Fails:* nil, message, code (EAGAIN).
---
---*Raises:* "the scope is closed".
---
---*Waits:* parks the task, under a limit only.
---@async
---@param f function
---@param ... any
---@return Thread?
---@return string? message
---@return string? code
---@overload fun(self: ThreadScope, options: table, f: function, ...: any): Thread?, string?, string?
function ThreadScope:spawn(f, ...) end

---Waits until no child is left; the scope stays open. nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function ThreadScope:wait(timeout) end

---Threads of the operating system that share all values. The one that holds the GIL runs; it is handed on every few milliseconds (gil.switch_interval) and whenever its holder waits. Locks, queues and the others here serve tasks and native threads alike and are the same in the module async.
---@class thread
local thread = {}

---Acquires all locks of a list, in an order that is the same for everybody, so that two callers cannot deadlock. Returns one closable guard for all.
---
---*Raises:* "timeout: the locks did not become free within ... seconds"; then none is held.
---
---*Waits:* parks the task.
---```lua
---local thread = require "thread"
---local from, to = thread.lock(), thread.lock()
---do
---  local _ <close> = thread.acquire_all{from, to}
---  print(from:locked(), to:locked())  --> true	true
---end
---print(from:locked())                 --> false
---```
---@async
---@param locks table
---@param timeout? number
---@return Guards
function thread.acquire_all(locks, timeout) end

---A value (0) that changes in single steps.
---```lua
---local thread = require "thread"
---local hits = thread.atomic()
---local function count() for _ = 1, 100 do hits:add() end end
---local a, b = thread.spawn(count), thread.spawn(count)
---a:join() b:join()
---print(hits:get())  --> 200
---```
---@param n? any
---@return Atomic
function thread.atomic(n) end

---A place where n tasks meet.
---```lua
---local thread = require "thread"
---local b = thread.barrier(2)
---local t = thread.spawn(function() return b:wait() end)
---print(b:wait() + t:join())  --> 3
---```
---@param n integer
---@return Barrier
function thread.barrier(n) end

---A condition to wait for and to notify, with a lock (a new one by default).
---```lua
---local thread = require "thread"
---local c, ready = thread.condition(), false
---local t = thread.spawn(function()
---  local _ <close> = c:acquire()
---  return c:wait_for(function() return ready end)
---end)
---do
---  local _ <close> = c:acquire()
---  ready = true
---  c:notify_all()
---end
---print(t:join())  --> true
---```
---@param lock? Lock
---@return Condition
function thread.condition(lock) end

---The native thread that is running.
---```lua
---local thread = require "thread"
---print(thread.current() == thread.main())  --> true
---```
---@return Thread
function thread.current() end

---A switch that tasks can wait for, not set.
---```lua
---local thread = require "thread"
---local go = thread.event()
---local t = thread.spawn(function() go:wait() return "gone" end)
---go:set()
---print(t:join())  --> gone
---```
---@return Event
function thread.event() end

---A list of all native threads that have not ended, the main one first.
---```lua
---local thread = require "thread"
---print(#thread.list())  --> 1
---```
---@return table
function thread.list() end

---A new lock, free. A task holds it, not a native thread.
---```lua
---local thread = require "thread"
---local l, sum = thread.lock(), 0
---local function add(n)
---  local _ <close> = l:acquire()
---  sum = sum + n
---end
---local a, b = thread.spawn(add, 1), thread.spawn(add, 2)
---a:join() b:join()
---print(sum)  --> 3
---```
---@return Lock
function thread.lock() end

---The native thread that runs the main chunk.
---```lua
---local thread = require "thread"
---print(thread.main():status())  --> running
---```
---@return Thread
function thread.main() end

---A function that calls f at its first call only; every call gives f's results. Calls that come meanwhile wait; after an error the next call tries again.
---```lua
---local thread = require "thread"
---local setup = thread.once(function() print "set up" return 7 end)
---print(setup() + setup())
-----> set up
-----> 14
---```
---@param f function
---@return function
function thread.once(f) end

---An executor whose workers are native threads. Options: workers, their number (one per processor); name: they are called NAME-1, NAME-2 ...
---```lua
---local thread = require "thread"
---local pool <close> = thread.pool{workers = 2}
---print(table.concat(pool:map({1, 2, 3}, function(n) return n * n end), " "))  --> 1 4 9
---print(pool:submit(math.max, 1, 2):await())                                    --> 2
---```
---@param options? table
---@return Executor
function thread.pool(options) end

---A queue of at most max values that gives the smallest priority first: put(v, priority).
---```lua
---local thread = require "thread"
---local q = thread.priority_queue()
---q:put("later", 2)
---q:put("now", 1)
---print(q:get(), q:get())  --> now	later
---```
---@param max? integer
---@return PriorityQueue
function thread.priority_queue(max) end

---A queue, first in, first out, of at most max values.
---```lua
---local thread = require "thread"
---local q = thread.queue(10)
---local t = thread.spawn(function() for i = 1, 3 do q:put(i) end q:close() end)
---local sum = 0
---for v in q:iter() do sum = sum + v end
---print(sum)  --> 6
---```
---@param max? integer
---@return Queue
function thread.queue(max) end

---A lock that its holder may acquire again, and then releases as often.
---```lua
---local thread = require "thread"
---local l = thread.rlock()
---l:acquire() l:acquire()
---l:release()
---print(l:locked())  --> true
---```
---@return RLock
function thread.rlock() end

---As async.scope, but the children are native threads: closing it waits for them, the first error cancels the others and is raised. With a function: calls f(scope), closes the scope and returns f's results. Options: limit, name, timeout, deadline, grace.
---
---*Raises:* what a child raised; an error that async.is_timeout knows.
---
---*Waits:* the close parks the task.
---```lua
---local thread = require "thread"
---local sum = thread.atomic()
---thread.scope(function(s)
---  for i = 1, 4 do s:spawn(function() sum:add(i) end) end
---end)
---print(sum:get())  --> 10
---```
---@async
---@param options? table
---@param f? function
---@return ThreadScope|any ...
function thread.scope(options, f) end

---n places, given to who comes first.
---```lua
---local thread = require "thread"
---local places = thread.semaphore(2)
---places:acquire() places:acquire()
---print(places:try_acquire())  --> false
---```
---@param n integer
---@return Semaphore
function thread.semaphore(n) end

---Starts a native thread that calls f with the arguments. All native threads share all values; the one that holds the GIL runs. Options: name, a string; daemon=true: the program does not wait for it at its end, but stops it.
---
---*Fails:* nil, message, code (EAGAIN) if the system gives no more threads.
---```lua
---local thread = require "thread"
---local t = thread.spawn({name = "adder"}, function(a, b) return a + b end, 1, 2)
---print(t.name, t:join())  --> adder	3
---```
---@param f function
---@param ... any
---@return Thread?
---@return string? message
---@return string? code
---@overload fun(options: table, f: function, ...: any): Thread?, string?, string?
function thread.spawn(f, ...) end

---A table of the running native thread's own; each has another.
---```lua
---local thread = require "thread"
---thread.storage().user = "ada"
---print(thread.spawn(function() return thread.storage().user end):join())  --> nil
---```
---@return table
function thread.storage() end

return thread
