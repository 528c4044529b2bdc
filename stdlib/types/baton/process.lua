---@meta baton.process
return require "process"
