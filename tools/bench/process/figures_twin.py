"""The same figures with python3's multiprocessing."""
import multiprocessing as mp
import pickle
import queue
import subprocess
import time


def figure(name, value, unit):
    print(f"{name}\t{value:.3f}\t{unit}", flush=True)


def small(x):
    return x + 1


def seconds(f, *a):
    began = time.monotonic()
    f(*a)
    return time.monotonic() - began


def through(pool, chunk):
    for _ in pool.imap(small, range(20000), chunk):
        pass


def drain(q):
    while q.get() is not None:
        pass


def ready():
    pool = mp.Pool(2)
    pool.map(small, [1, 2], 1)
    return pool


def records():
    return [{"id": i, "name": f"record number {i}", "kind": "kind %d" % (i % 10), "score": i / 3,
             "tags": ["red", "green", i % 100], "place": {"x": i * 0.5, "y": -i * 0.25, "n": i % 7}} for i in range(20000)]


def main():
    began = time.monotonic()
    pool = ready()
    figure("pool of 2, from nothing to ready", (time.monotonic() - began) * 1e3, "ms")
    figure("imap, chunk 1, small items", min(seconds(through, pool, 1) for _ in range(3)) / 20000 * 1e6, "us")
    figure("imap, chunk 100, small items", min(seconds(through, pool, 100) for _ in range(3)) / 20000 * 1e6, "us")
    futures = lambda: [f.get() for f in [pool.apply_async(small, (i,)) for i in range(20000)]]
    figure("submit and await, small jobs", seconds(futures) / 20000 * 1e6, "us")
    one = lambda: [pool.apply(small, (i,)) for i in range(3000)]
    figure("one job after the other", seconds(one) / 3000 * 1e6, "us")
    pool.close()
    pool.join()
    q = mp.Queue(100)
    reader = mp.Process(target=drain, args=(q,))
    reader.start()
    began = time.monotonic()
    for i in range(20000):
        q.put(i)
    q.put(None)
    reader.join()
    figure("queue between two processes", (time.monotonic() - began) / 20000 * 1e6, "us")
    start = lambda: [subprocess.run(["true"], capture_output=True) for _ in range(20)]
    figure("running a program, empty heap", min(seconds(start) for _ in range(8)) / 20 * 1e3, "ms")
    data = records()
    encoded = pickle.dumps(data, 5)
    figure("encoding 20,000 records", min(seconds(pickle.dumps, data, 5) for _ in range(7)) * 1e3, "ms")
    figure("decoding 20,000 records", min(seconds(pickle.loads, encoded) for _ in range(7)) * 1e3, "ms")
    figure("their size", len(encoded) / 1e6, "MB")


if __name__ == "__main__":
    main()
