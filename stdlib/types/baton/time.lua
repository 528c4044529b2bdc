---@meta baton.time
return require "time"
