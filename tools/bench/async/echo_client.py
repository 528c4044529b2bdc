"""Load for an echo server: echo_client.py PORT CONNECTIONS SECONDS [RATE]: messages/s and the round trip's p50 and p99 in us.

One epoll loop in a process of its own. With a rate (messages/s over all connections) it sends at fixed times.
"""
import select
import socket
import sys
import time

port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
rate = float(sys.argv[4]) if len(sys.argv) > 4 else None
poll = select.epoll()
by_number, sent_at = {}, {}
for _ in range(connections):
    s = socket.create_connection(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.setblocking(False)
    by_number[s.fileno()] = s
    poll.register(s.fileno(), select.EPOLLIN)
times = []
message = b"x" * 64
began = now = time.perf_counter()
idle = list(by_number)
if rate is None:
    for number in idle:
        sent_at[number] = time.perf_counter()
        by_number[number].send(message)
    idle = []
next_at = began
while now < began + seconds:
    if rate is not None:
        while idle and next_at <= now:
            number = idle.pop()
            sent_at[number] = next_at
            by_number[number].send(message)
            next_at += 1 / rate
        timeout = max(0, min(0.01, next_at - now))
    else:
        timeout = 1
    for number, _ in poll.poll(timeout):
        by_number[number].recv(4096)
        now = time.perf_counter()
        times.append(now - sent_at[number])
        if rate is None:
            sent_at[number] = now
            by_number[number].send(message)
        else:
            idle.append(number)
    now = time.perf_counter()
times.sort()
print(f"{len(times) / (now - began):.0f}\t{times[len(times) // 2] * 1e6:.0f}\t{times[int(len(times) * 0.99)] * 1e6:.0f}")
