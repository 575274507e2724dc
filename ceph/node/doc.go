// Package node makes, observes and removes the Ceph daemons of the host that it runs on, with Ceph's own tools and the
// distribution's units. It needs root for all but Observe's parsers.
package node
