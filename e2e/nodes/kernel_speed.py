# Measures one image through librbd and, where they are given, block devices that it is: IMAGE [NAME=DEVICE ...]. One request at
# a time, past all caches; in turns, the better of ROUNDS.
import functools, mmap, os, random, re, subprocess, sys, time

image, devices = sys.argv[1], [arg.split("=") for arg in sys.argv[2:]]
ROUNDS = 2
RUNS = (("4 KiB random", "rand", 4096, 200), ("1 MiB sequential", "seq", 1 << 20, 32))


def librbd(operation, pattern, size, count):
    """Returns the seconds that so many requests took, without those that the program took to start."""
    bench = ["rbd", "--id", "instances", "--rbd-cache=false", "bench", "--io-type", operation, "--io-pattern", pattern]
    limits = ["--io-size", str(size), "--io-threads", "1", "--io-total", str(size * count), image]
    out = subprocess.run(bench + limits, check=True, capture_output=True, text=True).stdout
    return count / float(re.search(r"ops/sec: (\S+)", out).group(1))


def direct(device, operation, pattern, size, count):
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    blocks = os.lseek(fd, 0, os.SEEK_END) // size
    buffer = mmap.mmap(-1, size)  # begins with a page, as O_DIRECT wants it
    buffer.write(os.urandom(size))
    transfer = os.pwritev if operation == "write" else os.preadv
    offsets = [(random.randrange(blocks) if pattern == "rand" else i % blocks) * size for i in range(count)]
    start = time.monotonic()
    for offset in offsets:
        transfer(fd, [buffer], offset)
    took = time.monotonic() - start
    os.close(fd)
    return took


clients = {"librbd": librbd, **{name: functools.partial(direct, device) for name, device in devices}}
for name, pattern, size, count in RUNS:
    for operation in "write", "read":
        rounds = [[client(operation, pattern, size, count) for client in clients.values()] for _ in range(ROUNDS)]
        for client, best in zip(clients, map(min, zip(*rounds))):
            each = best / count * 1e3
            print("%s %s, %s: %.1f ms each, %.2f MB/s" % (operation, name, client, each, size / each / 1e3), flush=True)
