"""The server of the convoy benchmark, as convoy.script."""
import os
import sys
import threading

from_client, to_client = 0, 1
threads = int(sys.argv[1])
running, work, children = False, [0] * threads, []


def compute(me):
    x = 1
    while running:
        for _ in range(100):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        work[me] += 1


while True:
    command = os.read(from_client, 1)
    if command == b"p":
        os.write(to_client, b"p")
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
        os.write(to_client, b"%20d" % sum(work))
    else:
        break
