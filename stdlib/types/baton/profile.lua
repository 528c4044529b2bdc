---@meta baton.profile
return require "profile"
