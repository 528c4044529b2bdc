---@meta process
-- made by `baton doc` from the texts of the functions; not edited by hand

---What a worker's function gets to talk to who started it.
---```lua
---local process = require "process"
---local w <close> = process.worker(function(channel)
---  channel:send {1, 2}
---  channel:close()
---end)
---print(#w:receive(), w:receive())  --> 2	nil	closed
---```
---@class Channel
local Channel = {}

---Nothing more is sent or received.
---@return boolean
function Channel:close() end

---An iterator over the messages until the other end closes.
---
---*Waits:* each step parks the task.
---@async
---@return function
function Channel:iter() end

---The next message; nil, "closed" when no more can come; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any
function Channel:receive(timeout) end

---Sends a copy of a value; waits while the other end does not take what was sent before.
---
---*Fails:* nil, "closed", "EPIPE" if there is no other end any more.
---
---*Raises:* what cannot travel, with its path.
---
---*Waits:* parks the task.
---@async
---@param value any
---@return boolean?
function Channel:send(value) end

---A program that process.spawn started. Closable: then it is killed.
---```lua
---local process = require "process"
---local p <close> = assert(process.spawn{"sleep", "10"})
---p:terminate()
---print(p:wait().signal)  --> 15
---```
---@class Process
---@field pid integer Its number.
---@field stderr Stream? Its standard error, if that is a pipe.
---@field stdin Stream? Its standard input, if that is a pipe.
---@field stdout Stream? Its standard output, if that is a pipe.
local Process = {}

---Kills it, if it has not ended, and waits for that; closes its pipes.
---
---*Waits:* parks the task.
---@async
---@return boolean
function Process:close() end

---Sends a signal, by name or number; without one SIGKILL.
---
---*Fails:* nil, message, code (ESRCH when it has ended).
---@param signal? string|integer
---@return boolean?
---@return string? message
---@return string? code
function Process:kill(signal) end

---Asks it to end: SIGTERM.
---
---*Fails:* nil, message, code.
---@return boolean?
---@return string? message
---@return string? code
function Process:terminate() end

---Waits for its end: {ok, code, signal}; nil, "timeout", "ETIMEDOUT" if the timeout (seconds) comes first. What it wrote can be read afterwards.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return table?
function Process:wait(timeout) end

---A queue that can be sent to other processes; values are copied. #q is how many are in it.
---```lua
---local process = require "process"
---local q = process.queue(1)
---print(q:put {1, 2}, q:try_put "more")  --> true	nil	full
---print(#q, #q:get())                    --> 1	2
---```
---@class ProcessQueue
---@operator len: integer
---@field max integer? How many values it takes at most.
local ProcessQueue = {}

---Takes no more values; what is in it can still be got.
---@return boolean
function ProcessQueue:close() end

---The oldest value, waited for; nil, "closed" when none can come any more; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any
function ProcessQueue:get(timeout) end

---An iterator over the values until it is closed and empty.
---
---*Waits:* each step parks the task.
---@async
---@return function
function ProcessQueue:iter() end

---Puts a copy of a value behind the others, waiting for room; nil, "timeout", "ETIMEDOUT" when late.
---
---*Raises:* "the queue is closed"; what cannot travel, with its path.
---
---*Waits:* parks the task.
---@async
---@param value any
---@param timeout? number
---@return boolean?
function ProcessQueue:put(value, timeout) end

---The oldest value, or nil and "empty" or "closed"; it does not wait.
---@return any
---@return string
function ProcessQueue:try_get() end

---True, or nil, "full"; it does not wait.
---@param value any
---@return boolean?
---@return string
function ProcessQueue:try_put(value) end

---Memory that several processes see. Closable; #s is its size in bytes.
---```lua
---local process = require "process"
---local s = process.shared(16)
---s:set(1, 40)
---print(s:add(1, 2), s:get(1), #s)  --> 42	42	16
---s:write(9, "text")
---print(s:read(9, 4))               --> text
---```
---@class Shared
---@operator len: integer
local Shared = {}

---Adds n (1) to cell i, counted from 1, and returns the new value, as one step for all processes.
---
---*Raises:* "index out of range".
---@param i integer
---@param n? integer
---@return integer
function Shared:add(i, n) end

---Gives this process's view of the memory up.
---@return boolean
function Shared:close() end

---Cell i, a 64-bit integer; cells are counted from 1.
---
---*Raises:* "index out of range".
---@param i integer
---@return integer
function Shared:get(i) end

---n bytes from a position, counted from 1.
---
---*Raises:* "range exceeds the memory".
---@param position integer
---@param n integer
---@return string
function Shared:read(position, n) end

---Sets cell i, counted from 1.
---
---*Raises:* "index out of range".
---@param i integer
---@param n integer
function Shared:set(i, n) end

---Copies bytes to a position, counted from 1.
---
---*Raises:* "range exceeds the memory".
---@param position integer
---@param text string
function Shared:write(position, text) end

---A process that runs a function of the script. Closable.
---```lua
---local process = require "process"
---local w = process.worker(function(channel) channel:send("here") return 7 end)
---print(w:receive(), w:join())  --> here	7
---w:close()
---```
---@class Worker
---@field pid integer Its number.
local Worker = {}

---Closes the channel towards the worker, then waits for its end. An error that leaves the scope of the worker kills it.
---
---*Waits:* parks the task.
---@async
---@return boolean
function Worker:close() end

---An iterator over the worker's messages.
---
---*Waits:* each step parks the task.
---@async
---@return function
function Worker:iter() end

---Returns what the worker's function returned, or raises a copy of its error; nil, "timeout", "ETIMEDOUT" when late.
---
---*Raises:* "worker died: signal 9" and the like.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any ...
function Worker:join(timeout) end

---Kills the worker.
function Worker:kill() end

---The next message of the worker; nil, "closed" when no more can come; nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return any
function Worker:receive(timeout) end

---Like join, but returns true and the results, or false and the error, as pcall does.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
---@return any ...
function Worker:result(timeout) end

---Sends a copy of a value to the worker's channel.
---
---*Fails:* nil, "closed", "EPIPE" when the worker has ended.
---
---*Raises:* what cannot travel, with its path.
---
---*Waits:* parks the task while the worker does not take what was sent before.
---@async
---@param value any
---@return boolean?
function Worker:send(value) end

---Other programs, and workers: copies of the interpreter that run functions of the script, each with a lock of its own. Functions travel to them as bytecode with copies of their upvalues and of the globals that they name; loaded modules and natives travel by name, everything else is copied. What cannot travel is refused at once, with its path. The main chunk does not run again there.
---@class process
local process = {}

---The number of processors that this process may use.
---```lua
---local process = require "process"
---print(process.cpu_count() >= 1)  --> true
---```
---@return integer
function process.cpu_count() end

---A table of the environment variables.
---```lua
---local process = require "process"
---print(type(process.env().PATH))  --> string
---```
---@return table
function process.env() end

---The path of the running interpreter.
---```lua
---local process = require "process"
---print(process.executable():match "[^/]*$")  --> baton
---```
---@return string
function process.executable() end

---Calls f(signal) in a task whenever the signal comes ("SIGTERM", "SIGHUP" ...); nil: as it was before.
---
---*Raises:* "unknown signal".
---```lua
---local process = require "process"
---process.on("SIGUSR1", function(name) print("got", name) end)
---process.on("SIGUSR1", nil)
---```
---@param signal string
---@param f function?
function process.on(signal, f) end

---The number of this process.
---```lua
---local process = require "process"
---print(process.pid() > 0)  --> true
---```
---@return integer
function process.pid() end

---An executor whose workers are processes. Options: workers, their number (one per processor); init, a function that each runs first; max_tasks: a worker is replaced after so many jobs; retries: a job whose worker died is run again so many (0) times; name.
---```lua
---local process = require "process"
---local pool <close> = process.pool{workers = 2}
---print(table.concat(pool:map({1, 2, 3}, function(n) return n * n end), " "))  --> 1 4 9
---```
---@param options? table
---@return Executor
function process.pool(options) end

---A queue of at most max values that can be sent to other processes.
---
---*Fails:* nil, message, code.
---```lua
---local process = require "process"
---local q = process.queue()
---local w <close> = process.worker(function(channel, q) q:put("from a process") end, q)
---print(q:get())  --> from a process
---```
---@param max? integer
---@return ProcessQueue?
---@return string? message
---@return string? code
function process.queue(max) end

---Runs a program to its end, without a shell: {"program", "argument", ..., options}. Returns {ok, code, signal, stdout, stderr}. Options: stdin, the text it reads, {file=path}, an open file or stream, or false for nothing (default: our standard input); stdout and stderr: "capture" (default), "inherit", "null", {file=path, append=}, an open file or stream, and for stderr "stdout"; cwd, a folder; env: variables to set, or to remove (false), in its environment; timeout in seconds, after which it is killed; check=true raises whenever it does not end with exit code 0.
---
---*Fails:* nil, message, code if it cannot be started; nil, "timeout", "ETIMEDOUT" and the result so far.
---
---*Raises:* with check=true.
---
---*Waits:* parks the task.
---```lua
---local process = require "process"
---local result = process.run{"sh", "-c", "cat; exit 3", stdin = "text"}
---print(result.ok, result.code, result.stdout)  --> false	3	text
---```
---@async
---@param command table
---@return table?
---@return string? message
---@return string? code
function process.run(command) end

---Memory that is sent to other processes without being copied: cells of 64 bits, counted from 1, or bytes.
---
---*Fails:* nil, message, code.
---```lua
---local process = require "process"
---local counter = process.shared(8)
---local w <close> = process.worker(function(channel, counter) counter:add(1, 5) end, counter)
---w:join()
---print(counter:get(1))  --> 5
---```
---@param bytes integer
---@return Shared?
---@return string? message
---@return string? code
function process.shared(bytes) end

---Runs a command line by /bin/sh; options and results as process.run.
---
---*Fails:* as process.run.
---
---*Waits:* parks the task.
---```lua
---local process = require "process"
---print(process.shell("echo one | tr o 0").stdout)  --> 0ne
----->
---```
---@async
---@param command string
---@param options? table
---@return table?
function process.shell(command, options) end

---Starts a program: {"program", "argument", ..., options}. stdin, stdout and stderr are pipes, Streams of the Process, unless options stdin, stdout, stderr say otherwise ("inherit", "null", as process.run); cwd and env as there. Closing the Process kills it.
---
---*Fails:* nil, message, code if it cannot be started.
---
---*Waits:* parks the task.
---```lua
---local process = require "process"
---local p <close> = assert(process.spawn{"cat"})
---p.stdin:write("hello\n")
---print(p.stdout:read "l")  --> hello
---p.stdin:close()
---print(p:wait().code)      --> 0
---```
---@async
---@param command table
---@return Process?
---@return string? message
---@return string? code
function process.spawn(command) end

---Standard error as a Stream.
---```lua
---local process = require "process"
---process.stderr():write("note\n")  --> stderr: note
---```
---@return Stream
function process.stderr() end

---Standard input as a Stream: other tasks run while it is waited for.
---```lua
---local process = require "process"
---print(process.stdin():read "l")  --> nil
---```
---@return Stream
function process.stdin() end

---Standard output as a Stream: unbuffered, behind what print wrote before.
---```lua
---local process = require "process"
---process.stdout():write("direct\n")  --> direct
---```
---@return Stream
function process.stdout() end

---{rss, peak, user, system} of a process, ours by default: bytes of memory now and at most, seconds of CPU.
---
---*Fails:* nil, message, code.
---```lua
---local process = require "process"
---print(process.usage().rss > 0)  --> true
---```
---@param pid? integer
---@return table?
---@return string? message
---@return string? code
function process.usage(pid) end

---Starts a process that runs f(channel, ...). The function travels with copies of its upvalues and of the globals that it names; loaded modules and natives travel by name. Options: name.
---
---*Fails:* nil, message, code.
---
---*Raises:* what cannot travel, with its path.
---```lua
---local process = require "process"
---local w <close> = process.worker(function(channel, factor)
---  for n in channel:iter() do channel:send(n * factor) end
---  return "bye"
---end, 10)
---w:send(4)
---print(w:receive())  --> 40
---```
---@param f function
---@param ... any
---@return Worker?
---@return string? message
---@return string? code
---@overload fun(options: table, f: function, ...: any): Worker?, string?, string?
function process.worker(f, ...) end

return process
