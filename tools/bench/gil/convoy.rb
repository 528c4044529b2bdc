# The server of the convoy benchmark, as convoy.script.
require "socket"

threads = ARGV[0].to_i
client = TCPSocket.new("127.0.0.1", ARGV[1].to_i)
client.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
running = false
work = Array.new(threads, 0)
children = []

loop do
  case client.sysread(1)
  when "p" then client.syswrite("p")
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
  when "c" then client.syswrite(format("%20d", work.sum))
  else break
  end
end
