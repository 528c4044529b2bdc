---@meta baton.async
return require "async"
