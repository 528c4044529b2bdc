"""The server of the convoy benchmark, as convoy.script."""
import socket
import sys
import threading

threads = int(sys.argv[1])
client = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
running, work, children = False, [0] * threads, []


def compute(me):
    x = 1
    while running:
        for _ in range(100):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        work[me] += 1


while True:
    command = client.recv(1)
    if command == b"p":
        client.send(b"p")
    elif command == b"s":
        running = True
        children = [threading.Thread(target=compute, args=(i,)) for i in range(threads)]
        for child in children:
            child.start()
    elif command == b"e":
        running = False
        for child in children:
            child.join()
    elif command == b"c":
        client.send(b"%20d" % sum(work))
    else:
        break
