# Measures one image through librbd and through the block device that the kernel has mapped it as: IMAGE DEVICE.
# One request at a time, past all caches. CPU is that of the whole machine: most of the kernel's client is in no process.
import mmap, os, random, re, subprocess, sys, time

image, device = sys.argv[1:]
RUNS = (("4 KiB random", "rand", 4096, 200), ("1 MiB sequential", "seq", 1 << 20, 32))


def busy():
    """Seconds that the CPUs have worked, in user and kernel mode, since the boot."""
    with open("/proc/stat") as stat:
        return sum(map(int, stat.readline().split()[1:4])) / os.sysconf("SC_CLK_TCK")


def librbd(operation, pattern, size, count):
    """Returns the seconds that so many requests took, without those that the program took to start."""
    bench = ["rbd", "--id", "instances", "--rbd-cache=false", "bench", "--io-type", operation, "--io-pattern", pattern]
    limits = ["--io-size", str(size), "--io-threads", "1", "--io-total", str(size * count), image]
    out = subprocess.run(bench + limits, check=True, capture_output=True, text=True).stdout
    return count / float(re.search(r"ops/sec: ([0-9.]+)", out).group(1))


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


def measured(client, operation, pattern, size, count):
    """Returns the seconds of a run, and those that the CPUs have worked."""
    worked = busy()
    took = client(operation, pattern, size, count)
    return took, busy() - worked


FEW = 4

for name, pattern, size, count in RUNS:
    for operation in "write", "read":
        for client in librbd, krbd:
            # A run of a few, of which the work is that of starting the program.
            _, start = measured(client, operation, pattern, size, FEW)
            took, worked = measured(client, operation, pattern, size, count)
            each, cpu = took / count, (worked - start) / (count - FEW)
            row = operation, name, client.__name__, each * 1e3, size / each / 1e6, cpu * 1e3
            print("%s %s, %s: %.1f ms each, %.2f MB/s, %.1f ms CPU each" % row, flush=True)
