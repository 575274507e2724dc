package main

import (
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
)

// What the commands about the storage cluster use of the one storage type that there is.
type (
	storageCluster = cephstorage.Storage
	storageStatus  = cephstorage.Status
	storageFinding = cephstorage.Finding
	poolOptions    = cephstorage.PoolOptions

	loopbackPlan    = cephstorage.LoopbackPlan
	loopbackMeeting = cephstorage.Meeting
	loopbackMove    = cephstorage.Move
)

// severityError is that of findings which make verify fail.
const severityError = cephstorage.SeverityError

// clusterOf returns the storage cluster of an environment.
func clusterOf(env *control.Env) *storageCluster { return cephstorage.New(env) }
