---@meta net
-- made by `baton doc` from the texts of the functions; not edited by hand

---A socket that accepts connections. Closable.
---```lua
---local net = require "net"
---local listener <close> = assert(net.listen("127.0.0.1", 0))
---print(listener:accept(0.001))  --> nil	timeout	ETIMEDOUT
---```
---@class Listener
---@field port integer The port that it listens at.
local Listener = {}

---Waits for a connection.
---
---*Fails:* nil, message, code: "timeout", "ETIMEDOUT" when late, EBADF when it is closed meanwhile.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return Stream?
---@return string? message
---@return string? code
function Listener:accept(timeout) end

---Closes it; who waits in accept gets EBADF.
---@return boolean
function Listener:close() end

---What net.serve makes. Closable.
---```lua
---local net = require "net"
---local server = net.serve("127.0.0.1", 0, print)
---print(server:close(), server:wait(1))  --> true	true
---```
---@class Server
---@field port integer The port that it listens at.
local Server = {}

---Takes no new connections; those that are open end by themselves.
---@return boolean
function Server:close() end

---Waits until it is closed and its connections have ended. nil, "timeout", "ETIMEDOUT" when late.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return boolean?
function Server:wait(timeout) end

---A connection, or a pipe to a process, usable from any native thread. Closable.
---```lua
---local net = require "net"
---local server = net.serve("127.0.0.1", 0, function(stream) stream:write(#stream:read "a", "\n") end)
---local stream <close> = assert(net.connect("127.0.0.1", server.port))
---stream:write("12", 345)
---stream:shutdown()
---print(stream:read "n")  --> 5
---```
---@class Stream
local Stream = {}

---Closes it; later calls do nothing.
---@return boolean
function Stream:close() end

---A closable iterator over lines, without their ends.
---
---*Raises:* a message if reading fails.
---
---*Waits:* each step parks the task.
---@async
---@return function
function Stream:lines() end

---Host and port of the other end.
---
---*Fails:* nil, message, code.
---@return string?
---@return integer
function Stream:peer() end

---Reads by the formats of io.read: "l", "L", "n", "a", a count; nil at the end.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@param ... string|integer
---@return any ...
---@return string? message
---@return string? code
function Stream:read(...) end

---What is there, at least one byte, at most max; waits if nothing is. nil at the end.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@param max? integer
---@return string?
---@return string? message
---@return string? code
function Stream:read_some(max) end

---Nothing more will be written; the other end reads the end. Reading goes on.
---
---*Fails:* nil, message, code.
---@return boolean?
---@return string? message
---@return string? code
function Stream:shutdown() end

---Writes strings and numbers, unbuffered; waits while the other end does not read.
---
---*Fails:* nil, message, code (EPIPE when the other end has closed).
---
---*Waits:* parks the task.
---@async
---@param ... string|number
---@return boolean?
---@return string? message
---@return string? code
function Stream:write(...) end

---What Stream:lines, File:lines and File:chunks return: call it for the next piece; closable.
---@class StreamIterator
---@overload fun(): any
local StreamIterator = {}

---Ends it; the stream stays open.
function StreamIterator:close() end

---A socket for datagrams. Closable.
---```lua
---local net = require "net"
---local a <close> = net.udp()
---a:bind("127.0.0.1", 0)
---print(a:send("x", "127.0.0.1", a.port), (a:receive(10)))  --> true	x
---```
---@class Udp
---@field port integer? The port that it is bound to.
local Udp = {}

---Receives at this address; port 0: any free one, then in the field port.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task while a name is looked up.
---@async
---@param host string
---@param port integer
---@return boolean?
---@return string? message
---@return string? code
function Udp:bind(host, port) end

---Closes it.
---@return boolean
function Udp:close() end

---Waits for a datagram: data, host, port of the sender. nil, "timeout", "ETIMEDOUT" when late.
---
---*Raises:* "the socket is not bound".
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return string?
---@return string
---@return integer
function Udp:receive(timeout) end

---Sends a datagram.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task while a name is looked up.
---@async
---@param data string
---@param host string
---@param port integer
---@return boolean?
---@return string? message
---@return string? code
function Udp:send(data, host, port) end

---TCP with or without TLS, unix sockets ("unix:/path" as host), UDP, names. Only the task waits. Times out: nil, "timeout", "ETIMEDOUT"; what fails returns nil, message, code.
---@class net
local net = {}

---Connects to host and port, or to "unix:/path". Options: timeout in seconds; tls: true, or a table with ca=, cert=, key= (files), server_name=, verify=false.
---
---*Fails:* nil, message, code (ECONNREFUSED, ETIMEDOUT, ENOTFOUND ...).
---
---*Waits:* parks the task.
---```lua
---local net = require "net"
---local server = net.serve("127.0.0.1", 0, function(stream) stream:write("hello\n") end)
---local stream <close> = assert(net.connect("127.0.0.1", server.port, {timeout = 10}))
---print(stream:read "l")  --> hello
---```
---@async
---@param host string
---@param port? integer
---@param options? table
---@return Stream?
---@return string? message
---@return string? code
function net.connect(host, port, options) end

---Listens at an address, reusable at once; port 0: any free one, then in the field port. tls: a table with cert=, key=; ca= asks clients for a certificate.
---
---*Fails:* nil, message, code (EADDRINUSE, EACCES ...).
---
---*Waits:* parks the task while a name is looked up.
---```lua
---local net = require "net"
---local listener <close> = assert(net.listen("127.0.0.1", 0))
---print(listener.port > 0)  --> true
---```
---@async
---@param host string
---@param port? integer
---@param options? table
---@return Listener?
---@return string? message
---@return string? code
function net.listen(host, port, options) end

---A list of the addresses of a name.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local net = require "net"
---print(net.resolve("127.0.0.1")[1])  --> 127.0.0.1
---```
---@async
---@param host string
---@return table?
---@return string? message
---@return string? code
function net.resolve(host) end

---Accepts connections in the background and calls handler(stream) for each in a task of its own, which closes the stream; an error in it is logged. An open server does not keep the program alive, wait does. Options: limit, so many connections at once; tls as net.listen. A unix socket has no port.
---
---*Fails:* nil, message, code (EADDRINUSE, EACCES ...).
---```lua
---local net = require "net"
---local server <close> = assert(net.serve("127.0.0.1", 0, function(stream)
---  for line in stream:lines() do stream:write(line:upper(), "\n") end
---end))
---local stream <close> = assert(net.connect("127.0.0.1", server.port))
---stream:write("hello\n")
---print(stream:read "l")  --> HELLO
---```
---@param host string
---@param handler function
---@return Server?
---@return string? message
---@return string? code
---@overload fun(host: string, port: integer, handler: function): Server?, string?, string?
---@overload fun(host: string, options: table, handler: function): Server?, string?, string?
---@overload fun(host: string, port: integer, options: table, handler: function): Server?, string?, string?
function net.serve(host, handler) end

---A socket for datagrams.
---```lua
---local net = require "net"
---local a <close> = net.udp()
---local b <close> = net.udp()
---assert(b:bind("127.0.0.1", 0))
---a:send("ping", "127.0.0.1", b.port)
---print((b:receive(10)))  --> ping
---```
---@return Udp
function net.udp() end

return net
