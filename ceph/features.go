package ceph

import (
	"fmt"
	"slices"
	"strings"
)

// Features are the feature bits of an RBD image, as librbd and the kernel count them.
type Features uint64

const (
	objectMap Features = 1 << 3
	fastDiff  Features = 1 << 4
)

// DataPool is the bit of an image that keeps its data in another pool than the one it is named in.
const DataPool Features = 1 << 7

// featureNames are the names of the bits, as rbd info prints them.
var featureNames = [...]string{
	"layering", "striping", "exclusive-lock", "object-map", "fast-diff", "deep-flatten", "journaling", "data-pool",
	"operations", "migrating", "non-primary", "dirty-cache",
}

// String returns the names of the features in the order of their bits, separated by commas.
func (f Features) String() string {
	var names []string
	for bit := 0; f>>bit != 0; bit++ {
		switch {
		case f&(1<<bit) == 0:
		case bit < len(featureNames):
			names = append(names, featureNames[bit])
		default:
			names = append(names, fmt.Sprintf("%#x", uint64(1)<<bit))
		}
	}
	return strings.Join(names, ",")
}

// ParseFeatures returns the features with these names. A name that is not known is an error: it may be any feature.
func ParseFeatures(names []string) (Features, error) {
	var f Features
	for _, name := range names {
		bit := slices.Index(featureNames[:], name)
		if bit < 0 {
			return f, fmt.Errorf("read features of an image: %q is none that is known", name)
		}
		f |= 1 << bit
	}
	return f, nil
}

// ObjectMap tells whether the image keeps a map of its objects, which is written to before an object comes to be.
func (f Features) ObjectMap() bool { return f&objectMap != 0 }

// FastDiff tells whether the image keeps a map of its objects, from which its usage can be read.
func (f Features) FastDiff() bool { return f&fastDiff != 0 }
