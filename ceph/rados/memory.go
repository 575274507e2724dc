package rados

// #include <malloc.h>
import "C"

// TrimMemory gives what librados and librbd have freed back to the system. Their allocator keeps it, as it does not know
// that nothing comes for the next seconds.
func TrimMemory() { C.malloc_trim(0) }
