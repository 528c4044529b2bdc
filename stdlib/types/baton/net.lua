---@meta baton.net
return require "net"
