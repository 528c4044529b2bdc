---@meta fs
-- made by `baton doc` from the texts of the functions; not edited by hand

---An open file of fs.open, usable from any native thread. Closable.
---```lua
---local fs = require "fs"
---fs.write("lines.txt", "one\ntwo\n")
---local f <close> = fs.open "lines.txt"
---print(f:read "l", f:seek "cur")          --> one	4
---for line in f:lines() do print(line) end --> two
---```
---@class File
local File = {}

---A closable iterator over pieces of n (65536) bytes; the last may be shorter.
---
---*Raises:* a message if reading fails.
---@param n? integer
---@return function
function File:chunks(n) end

---Closes it; later calls do nothing.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@return boolean?
---@return string? message
---@return string? code
function File:close() end

---What was written is on the disk when it returns.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@return boolean?
---@return string? message
---@return string? code
function File:flush() end

---A closable iterator over lines, without their ends.
---
---*Raises:* a message if reading fails.
---@return function
function File:lines() end

---Reads by the formats of io.read; after the end of the file it sees what was appended since.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@param ... string|integer
---@return any ...
---@return string? message
---@return string? code
function File:read(...) end

---Moves to offset (0) bytes from "set", "cur" (the default) or "end"; returns the position from the start, 0-based.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@param whence? string
---@param offset? integer
---@return integer?
---@return string? message
---@return string? code
function File:seek(whence, offset) end

---Writes strings and numbers.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---@async
---@param ... string|number
---@return File?
---@return string? message
---@return string? code
function File:write(...) end

---What fs.watch returns: an iterator over changes. Closable.
---@class FileWatch
---@overload fun(): any
local FileWatch = {}

---Ends the watch.
function FileWatch:close() end

---Waits for the next change: {path=, kind="created"|"changed"|"removed"}. nil, "timeout", "ETIMEDOUT" when late; nil when closed.
---
---*Waits:* parks the task.
---@async
---@param timeout? number
---@return table?
function FileWatch:next(timeout) end

---What fs.tempdir returns. Closable: then the folder is removed.
---@class TemporaryFolder
---@field path string The folder's name.
local TemporaryFolder = {}

---Removes the folder with all that is in it.
---
---*Waits:* parks the task.
---@async
---@return boolean?
function TemporaryFolder:close() end

---As io and os, but only the task waits: others of its native thread run, and so do other native threads. What fails returns nil, a message that begins with the code, and the code: nil, "ENOENT: no such file or directory: x.txt", "ENOENT".
---@class fs
local fs = {}

---Adds text at the end of a file, which is made if it is missing.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.append("log.txt", "one\n")
---fs.append("log.txt", "two\n")
---print(#fs.read "log.txt")  --> 8
---```
---@async
---@param path string
---@param text string
---@return boolean?
---@return string? message
---@return string? code
function fs.append(path, text) end

---Copies a file with its permissions; an existing one is replaced.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.write("a.txt", "text")
---print(fs.copy("a.txt", "b.txt"), fs.read "b.txt")  --> true	text
---```
---@async
---@param from string
---@param to string
---@return boolean?
---@return string? message
---@return string? code
function fs.copy(from, to) end

---A sorted list of the names in a folder, without "." and "..".
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.mkdir "d" fs.write("d/b", "") fs.write("d/a", "")
---print(table.concat(fs.dir "d", " "))  --> a b
---```
---@async
---@param path string
---@return table?
---@return string? message
---@return string? code
function fs.dir(path) end

---Whether there is such a file or folder; links are followed.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---print(fs.exists "missing.txt")  --> false
---```
---@async
---@param path string
---@return boolean
function fs.exists(path) end

---A sorted list of the paths that match: * ? and [a-z] stand for parts of a name, "**" for any number of folders. Names with a dot in front need one in the pattern.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.mkdir("g/deep", {parents = true}) fs.write("g/x.txt", "") fs.write("g/deep/y.txt", "")
---print(table.concat(fs.glob "g/**/*.txt", " "))  --> g/deep/y.txt g/x.txt
---```
---@async
---@param pattern string
---@return table
function fs.glob(pattern) end

---Makes a folder; with parents=true also those above it, and it may exist.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---print(fs.mkdir("one/two", {parents = true}))  --> true
---print(select(3, fs.mkdir "one"))              --> EEXIST
---```
---@async
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return string? code
function fs.mkdir(path, options) end

---Opens a file, modes as of io.open, for use from any native thread.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---local f <close> = assert(fs.open("note.txt", "w"))
---f:write("one\n", 2, "\n")
---```
---@async
---@param path string
---@param mode? string
---@return File?
---@return string? message
---@return string? code
function fs.open(path, mode) end

---The content of a file.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---print(fs.read "missing.txt")  --> nil	ENOENT: no such file or directory: missing.txt	ENOENT
---```
---@async
---@param path string
---@return string?
---@return string? message
---@return string? code
function fs.read(path) end

---Removes a file or an empty folder; with recursive=true a folder with all in it.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.mkdir "r" fs.write("r/x", "")
---print(select(3, fs.remove "r"), fs.remove("r", {recursive = true}))  --> ENOTEMPTY	true
---```
---@async
---@param path string
---@param options? table
---@return boolean?
---@return string? message
---@return string? code
function fs.remove(path, options) end

---Renames or moves a file or folder; an existing file of the new name is replaced.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.write("old.txt", "x")
---print(fs.rename("old.txt", "new.txt"), fs.exists "old.txt")  --> true	false
---```
---@async
---@param from string
---@param to string
---@return boolean?
---@return string? message
---@return string? code
function fs.rename(from, to) end

---Facts about a file: {type, size, mtime, inode, dev, mode}: type is "file", "directory", "socket" ..., size in bytes, mtime in seconds since 1970 with fractions, mode the permission bits. Links are followed.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---fs.write("five.txt", "12345")
---local facts = fs.stat "five.txt"
---print(facts.type, facts.size)  --> file	5
---```
---@async
---@param path string
---@return table?
---@return string? message
---@return string? code
function fs.stat(path) end

---A new folder, its name in the field path; closing it removes it with all in it.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---local path
---do
---  local folder <close> = fs.tempdir()
---  path = folder.path
---  fs.write(path .. "/x", "1")
---end
---print(fs.exists(path))  --> false
---```
---@async
---@return TemporaryFolder?
---@return string? message
---@return string? code
function fs.tempdir() end

---An iterator over changes of a file or of a folder's files: tables {path=, kind="created"|"changed"|"removed"}. Closable.
---
---*Fails:* nil, message, code.
---```lua
---local fs = require "fs"
---local folder <close> = fs.tempdir()
---local changes <close> = fs.watch(folder.path)
---fs.write(folder.path .. "/new.txt", "")
---print(changes:next().kind)  --> created
---```
---@param path string
---@return FileWatch?
---@return string? message
---@return string? code
function fs.watch(path) end

---Writes a file. With atomic=true it has the old content or the new one at any time, also after a crash.
---
---*Fails:* nil, message, code.
---
---*Waits:* parks the task.
---```lua
---local fs = require "fs"
---print(fs.write("settings.txt", "size = 3\n", {atomic = true}))  --> true
---```
---@async
---@param path string
---@param text string
---@param options? table
---@return boolean?
---@return string? message
---@return string? code
function fs.write(path, text, options) end

return fs
