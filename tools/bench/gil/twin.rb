# Ruby's twin of some figures of figures.script: name, value; separated by tabs.   twin.rb [--only=S4,S5]
ONLY = ARGV.map { |a| a[/\A--only=(.*)/, 1] }.compact.first&.split(",")

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

# Work per second of all threads, and Jain's index.
def compute(count, seconds)
  running = true
  work = Array.new(count, 0)
  threads = (0...count).map do |me|
    Thread.new do
      x = 1
      while running
        100.times { x = (x * 1103515245 + 12345) & 0x7fffffff }
        work[me] += 1
      end
    end
  end
  sleep 0.02
  before, began = work.dup, now
  block_given? ? yield : sleep(seconds)
  done, took = work.zip(before).map { |a, b| a - b }, now - began
  running = false
  threads.each(&:join)
  squares = done.sum { |w| w * w }
  [done.sum / took, squares > 0 ? done.sum**2 / (count * squares.to_f) : 0]
end

def s4
  sleeps = lambda do |n|
    late = (1..n).map do
      began = now
      sleep 0.02
      now - began - 0.02
    end
    late.sort[n / 2]
  end
  alone, beside = sleeps.(50), nil
  compute(1, 1) { beside = sleeps.(20) }
  puts format("S4 sleep beside one thread: later than alone by (p50)\t%.3f ms", 1000 * (beside - alone))
end

def s5
  [2, 4, 16].each do |count|
    alone, = compute(1, 0.5)
    work, jain = compute(count, 3)
    puts format("S5 %d computing threads, work of one\t%.1f %%", count, 100 * work / alone)
    puts format("S5 %d computing threads, Jain's index\t%.4f", count, jain)
  end
end

def s10
  numbers = (0...300_000).map { |i| i * 7919 % 300_007 }
  ended, largest, last = false, 0, nil
  t = Thread.new do
    ends = now + 0.5
    numbers.sort while now < ends
    ended = true
  end
  until ended
    at = now
    largest = [largest, at - last].max if last
    last = at
    sleep 0.001
  end
  t.join
  puts format("S10 sort of 300,000 numbers: largest gap\t%.1f ms", 1000 * largest)
end

def s11
  there, back = Queue.new, Queue.new
  echo = Thread.new do
    while (v = there.pop)
      back << v
    end
  end
  trips = (1..5000).map do |i|
    began = now
    there << i
    back.pop
    now - began
  end
  there << nil
  echo.join
  puts format("S11 round trip between two threads (p50)\t%.1f us", 1e6 * trips.sort[trips.size / 2])
  q, count, began = SizedQueue.new(256), 300_000, now
  consumer = Thread.new do
    while q.pop
    end
  end
  count.times { |i| q << i }
  q << nil
  consumer.join
  puts format("S11 values through a queue(256) between two threads\t%.2f M/s", count / (now - began) / 1e6)
end

{ "S4" => :s4, "S5" => :s5, "S10" => :s10, "S11" => :s11 }.each { |name, body| send(body) if ONLY.nil? || ONLY.include?(name) }
