-- An operating system's task scheduler in miniature: queues of packets, four kinds of tasks, calls by function value.
-- Written after the idea of Martin Richards' benchmark.
local IDLE, WORKER, HANDLER_A, HANDLER_B, DEVICE_A, DEVICE_B = 1, 2, 3, 4, 5, 6
local DEVICE_PACKET, WORK_PACKET = 0, 1

local Scheduler = {}
Scheduler.__index = Scheduler

local function packet(link, id, kind)
  return {link = link, id = id, kind = kind, datum = 0, data = {0, 0, 0, 0}}
end

local function append(p, queue)
  p.link = nil
  if not queue then return p end
  local last = queue
  while last.link do last = last.link end
  last.link = p
  return queue
end

function Scheduler.new() return setmetatable({tasks = {}, list = nil, queued = 0, held = 0}, Scheduler) end

function Scheduler:add(id, priority, queue, ready, run, state)
  local task = {id = id, priority = priority, queue = queue, link = self.list, run = run, state = state,
                waiting = not ready, held = false}
  self.list, self.tasks[id] = task, task
end

function Scheduler:schedule()
  local task = self.list
  self.current = task
  while task do
    if task.held or (task.waiting and not task.queue) then
      task = task.link
    else
      local p
      if task.waiting then
        p = task.queue
        task.queue = p.link
        task.waiting = false
      end
      self.current = task
      task = task.run(self, task, task.state, p)
    end
  end
end

function Scheduler:wait() self.current.waiting = true; return self.current end
function Scheduler:hold() self.held = self.held + 1; self.current.held = true; return self.current.link end
function Scheduler:release(id)
  local task = self.tasks[id]
  task.held = false
  if task.priority > self.current.priority then return task end
  return self.current
end
function Scheduler:queue(p)
  local task = self.tasks[p.id]
  self.queued = self.queued + 1
  p.id = self.current.id
  task.queue = append(p, task.queue)
  if task.priority > self.current.priority then return task end
  return self.current
end

local function run_idle(s, _, state)
  state.count = state.count - 1
  if state.count == 0 then return s:hold() end
  if state.seed % 2 == 0 then
    state.seed = state.seed / 2
    return s:release(DEVICE_A)
  end
  state.seed = (state.seed * 13 + 7) % 65536
  return s:release(DEVICE_B)
end

local function run_worker(s, _, state, p)
  if not p then return s:wait() end
  state.target = state.target == HANDLER_A and HANDLER_B or HANDLER_A
  p.id, p.datum = state.target, 0
  for i = 1, 4 do
    state.letter = state.letter % 26 + 1
    p.data[i] = 64 + state.letter
  end
  return s:queue(p)
end

local function run_handler(s, _, state, p)
  if p then
    if p.kind == WORK_PACKET then state.work = append(p, state.work) else state.devices = append(p, state.devices) end
  end
  local work = state.work
  if work then
    if work.datum >= 4 then
      state.work = work.link
      return s:queue(work)
    end
    local device = state.devices
    if device then
      state.devices = device.link
      work.datum = work.datum + 1
      device.datum = work.data[work.datum]
      return s:queue(device)
    end
  end
  return s:wait()
end

local function run_device(s, _, state, p)
  if p then
    state.pending = p
    return s:hold()
  end
  local pending = state.pending
  if not pending then return s:wait() end
  state.pending = nil
  return s:queue(pending)
end

local function run()
  local s = Scheduler.new()
  s:add(IDLE, 0, nil, true, run_idle, {seed = 1, count = 4000})
  local work = packet(packet(nil, WORKER, WORK_PACKET), WORKER, WORK_PACKET)
  s:add(WORKER, 1000, work, false, run_worker, {target = HANDLER_A, letter = 0})
  for index, handler in ipairs {HANDLER_A, HANDLER_B} do
    local device = handler + 2
    local queue = packet(packet(packet(nil, device, DEVICE_PACKET), device, DEVICE_PACKET), device, DEVICE_PACKET)
    s:add(handler, 1000 + 1000 * index, queue, false, run_handler, {})
  end
  s:add(DEVICE_A, 4000, nil, false, run_device, {})
  s:add(DEVICE_B, 5000, nil, false, run_device, {})
  s:schedule()
  return s.queued, s.held
end

local queued, held
for i = 1, 90 do
  local q, h = run()
  assert(not queued or (q == queued and h == held), i)
  queued, held = q, h
end
assert(queued > 1000 and held > 1000)
print(string.format("richards %d %d", queued, held))
