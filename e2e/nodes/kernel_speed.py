# Measures one image through librbd and, where one is given, the block device that the kernel has mapped it as: IMAGE [DEVICE].
# One request at a time, past all caches; in turns, the better of ROUNDS. CPU is that of the whole machine, as most of the kernel's
# client is in no process. So it is told only where nothing else runs: where the device is.
import mmap, os, random, re, subprocess, sys, time

image, device = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
ROUNDS = 2
RUNS = (("4 KiB random", "rand", 4096, 200), ("1 MiB sequential", "seq", 1 << 20, 32))


def busy():
    """Seconds that the CPUs have worked, in user and kernel mode, since the boot."""
    with open("/proc/stat") as stat:
        return sum(map(int, stat.readline().split()[1:4])) / os.sysconf("SC_CLK_TCK")


def librbd(operation, pattern, size, count):
    """Returns the seconds that so many requests took, without those that the program took to start. Few may take none by its clock."""
    bench = ["rbd", "--id", "instances", "--rbd-cache=false", "bench", "--io-type", operation, "--io-pattern", pattern]
    limits = ["--io-size", str(size), "--io-threads", "1", "--io-total", str(size * count), image]
    out = subprocess.run(bench + limits, check=True, capture_output=True, text=True).stdout
    return count / float(re.search(r"ops/sec: (\S+)", out).group(1))


def krbd(operation, pattern, size, count):
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


FEW = 4


def measured(client, operation, pattern, size, count):
    """Returns the milliseconds that a request took, and those that the CPUs have worked on it."""
    # A run of a few, of which the work is that of starting the program.
    begin = busy()
    client(operation, pattern, size, FEW)
    started = busy()
    took = client(operation, pattern, size, count)
    return took / count * 1e3, (busy() - started - (started - begin)) / (count - FEW) * 1e3


for name, pattern, size, count in RUNS:
    for operation in "write", "read":
        clients = (librbd, krbd) if device else (librbd,)
        rounds = [[measured(client, operation, pattern, size, count) for client in clients] for _ in range(ROUNDS)]
        for client, best in zip(clients, zip(*rounds)):
            each, cpu = map(min, zip(*best))
            row = "%s %s, %s: %.1f ms each, %.2f MB/s" % (operation, name, client.__name__, each, size / each / 1e3)
            print(row + (", %.1f ms CPU each" % cpu if device else ""), flush=True)
