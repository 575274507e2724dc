package krbd

// Read reads one mapping by its id, the number in its device's name. Its error is fs.ErrNotExist or syscall.ENODEV when
// it has gone.
func Read(sysfs, id string) (Mapping, error) { return read(sysfs, id) }
