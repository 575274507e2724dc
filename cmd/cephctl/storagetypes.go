package main

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
)

// storageTypes are those that there are.
func storageTypes() []control.StorageType {
	return []control.StorageType{cephstorage.Type{}}
}

// storageType returns the storage type that something is marked with, or false when it is not marked.
func (a *app) storageType(mark string) (control.StorageType, bool) {
	for _, t := range a.storage {
		if t.Name() == mark {
			return t, true
		}
	}
	return nil, false
}
