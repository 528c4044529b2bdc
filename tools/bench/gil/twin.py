"""Python's twin of some figures of figures.script: name, value; separated by tabs."""
import queue
import threading
import time


def compute(count, seconds, beside=None):
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
    before, cpu = list(work), time.process_time()
    if beside:
        beside()
    else:
        time.sleep(seconds)
    done, used = [a - b for a, b in zip(work, before)], time.process_time() - cpu
    running[0] = False
    for t in threads:
        t.join()
    squares = sum(w * w for w in done)
    return sum(done) / used, sum(done) ** 2 / (count * squares) if squares else 0


def sleeps():
    late = []
    for _ in range(20):
        began = time.monotonic()
        time.sleep(0.02)
        late.append(time.monotonic() - began - 0.02)
    return sorted(late)[len(late) // 2]


alone, _ = compute(1, 1)
for count in (2, 4, 16):
    work, jain = compute(count, 1)
    print(f"S5 {count} computing threads, work of one (by processor time)\t{100 * work / alone:.1f} %")
    print(f"S5 {count} computing threads, Jain's index\t{jain:.4f}")

beside = []
compute(1, 1, lambda: beside.append(sleeps()))
print(f"S4 sleep beside one thread: late by (p50)\t{1000 * beside[0]:.3f} ms")

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

numbers = [(i * 7919) % 300007 for i in range(300000)]
ended, largest, last = [], 0, None


def job():
    sorted(numbers)
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
