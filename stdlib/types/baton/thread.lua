---@meta baton.thread
return require "thread"
