---@meta baton
-- made by `baton doc` from the texts of the functions; not edited by hand

---@class baton
local baton = {}

---The version of the runtime, such as "0.1.0".
---@type string
baton._VERSION = nil

return baton
