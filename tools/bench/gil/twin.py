"""Python's twin of some figures of figures.script: name, value; separated by tabs.   twin.py [--only=S4,S5]"""
import queue
import sys
import threading
import time

ONLY = next((a[7:].split(",") for a in sys.argv[1:] if a.startswith("--only=")), None)


def compute(count, seconds, beside=None):
    """Work per second of all threads, and Jain's index."""
    running, work = [True], [0] * count

    def body(me):
        x = 1
        while running[0]:
            for _ in range(100):
                x = (x * 1103515245 + 12345) & 0x7FFFFFFF
            work[me] += 1

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    time.sleep(0.02)
    before, began = list(work), time.monotonic()
    if beside:
        beside()
    else:
        time.sleep(seconds)
    done, took = [a - b for a, b in zip(work, before)], time.monotonic() - began
    running[0] = False
    for t in threads:
        t.join()
    squares = sum(w * w for w in done)
    return sum(done) / took, sum(done) ** 2 / (count * squares) if squares else 0


def s4():
    def sleeps():
        late = []
        for _ in range(50):
            began = time.monotonic()
            time.sleep(0.02)
            late.append(time.monotonic() - began - 0.02)
        return sorted(late)[len(late) // 2]

    alone, beside = sleeps(), []
    compute(1, 1, lambda: beside.append(sleeps()))
    print(f"S4 sleep beside one thread: later than alone by (p50)\t{1000 * (beside[0] - alone):.3f} ms")


def s5():
    for count in (2, 4, 16, 64):
        alone, _ = compute(1, 0.5)
        work, jain = compute(count, 3)
        print(f"S5 {count} computing threads, work of one\t{100 * work / alone:.1f} %")
        print(f"S5 {count} computing threads, Jain's index\t{jain:.4f}")


def s10():
    numbers = [(i * 7919) % 300007 for i in range(300000)]
    ended, largest, last = [], 0, None

    def job():
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            sorted(numbers)
        ended.append(1)

    t = threading.Thread(target=job)
    t.start()
    while not ended:
        now = time.monotonic()
        if last:
            largest = max(largest, now - last)
        last = now
        time.sleep(0.001)
    print(f"S10 sort of 300,000 numbers: largest gap\t{1000 * largest:.1f} ms")


def s11():
    there, back = queue.Queue(), queue.Queue()

    def echo():
        while (v := there.get()) is not None:
            back.put(v)

    t = threading.Thread(target=echo)
    t.start()
    trips = []
    for i in range(1, 5000):
        began = time.monotonic()
        there.put(i)
        back.get()
        trips.append(time.monotonic() - began)
    there.put(None)
    t.join()
    print(f"S11 round trip between two threads (p50)\t{1e6 * sorted(trips)[len(trips) // 2]:.1f} us")
    q, count, began = queue.Queue(256), 100000, time.monotonic()

    def consume():
        while q.get() is not None:
            pass

    t = threading.Thread(target=consume)
    t.start()
    for i in range(count):
        q.put(i)
    q.put(None)
    t.join()
    print(f"S11 values through a queue(256) between two threads\t{count / (time.monotonic() - began) / 1e6:.2f} M/s")


for name, body in (("S4", s4), ("S5", s5), ("S10", s10), ("S11", s11)):
    if ONLY is None or name in ONLY:
        body()
