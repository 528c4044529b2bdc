---@meta baton.fs
return require "fs"
