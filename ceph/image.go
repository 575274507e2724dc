// Package ceph holds what its subpackages share: the names of things in a Ceph cluster.
package ceph

// Image names an RBD image.
type Image struct {
	Pool string
	// Namespace is empty for the default namespace of the pool.
	Namespace string
	Name      string
}

// String returns pool/image, or pool/namespace/image, as the rbd command takes it.
func (i Image) String() string {
	if i.Namespace == "" {
		return i.Pool + "/" + i.Name
	}
	return i.Pool + "/" + i.Namespace + "/" + i.Name
}
