---@meta baton.gil
return require "gil"
