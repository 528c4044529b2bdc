"""The Python twin of tasks.script: asyncio, with uvloop when the first argument says so."""
import asyncio
import sys
import time


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


async def switches(tasks, n):
    async def body():
        for _ in range(n):
            await asyncio.sleep(0)
    began = time.monotonic()
    await asyncio.gather(*[asyncio.create_task(body()) for _ in range(tasks)])
    return (time.monotonic() - began) / (tasks * n) * 1e9


async def main():
    before = resident()
    sleepers = [asyncio.create_task(asyncio.sleep(1000)) for _ in range(100000)]
    await asyncio.sleep(0)
    print(f"100000 sleeping tasks, each\t{(resident() - before) / len(sleepers):.3f}\tbytes")
    for sleeper in sleepers:
        sleeper.cancel()
    await asyncio.wait(sleepers)
    print(f"switch 1,000 x 1,000\t{await switches(1000, 300):.3f}\tns")
    print(f"switch 100,000 x 10, creation included\t{await switches(100000, 10):.3f}\tns")

    async def nothing():
        pass
    began = time.monotonic()
    for _ in range(50000):
        await asyncio.create_task(nothing())
    print(f"spawn and finish\t{(time.monotonic() - began) / 50000 * 1e9:.3f}\tns")
    queue = asyncio.Queue(100)
    n = 200000

    async def consume():
        for _ in range(n):
            await queue.get()
    began = time.monotonic()
    consumer = asyncio.create_task(consume())
    for i in range(n):
        await queue.put(i)
    await consumer
    print(f"bounded queue\t{n / (time.monotonic() - began) / 1e6:.3f}\tM items/s")


if len(sys.argv) > 1 and sys.argv[1] == "uvloop":
    import uvloop
    uvloop.install()
asyncio.run(main())
