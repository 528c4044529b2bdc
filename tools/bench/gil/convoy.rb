# The server of the convoy benchmark, as convoy.script.
from_client = $stdin
to_client = $stdout
to_client.sync = true
threads = ARGV[0].to_i
running = false
work = Array.new(threads, 0)
children = []

loop do
  case from_client.sysread(1)
  when "p" then to_client.syswrite("p")
  when "s"
    running = true
    children = (0...threads).map do |me|
      Thread.new do
        x = 1
        while running
          100.times { x = (x * 1103515245 + 12345) & 0x7fffffff }
          work[me] += 1
        end
      end
    end
  when "e"
    running = false
    children.each(&:join)
  when "c" then to_client.syswrite(format("%20d", work.sum))
  else break
  end
end
