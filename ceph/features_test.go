package ceph

import (
	"testing"

	librbd "github.com/ceph/go-ceph/rbd"
)

func TestFeatures(t *testing.T) {
	for bits, want := range map[uint64]string{
		0: "",
		librbd.FeatureLayering | librbd.FeatureExclusiveLock | librbd.FeatureObjectMap | librbd.FeatureFastDiff | librbd.FeatureDeepFlatten: "layering,exclusive-lock,object-map,fast-diff,deep-flatten",
		librbd.FeatureJournaling | librbd.FeatureDataPool | librbd.FeatureMigrating:                                                         "journaling,data-pool,migrating",
		1 << 11: "dirty-cache",
		1 << 12: "0x1000",
		1 << 63: "0x8000000000000000",
	} {
		if got := Features(bits).String(); got != want {
			t.Errorf("Features(%#x) = %q, want %q", bits, got, want)
		}
		if got, want := Features(bits).FastDiff(), bits&librbd.FeatureFastDiff != 0; got != want {
			t.Errorf("Features(%#x).FastDiff() = %v, want %v", bits, got, want)
		}
	}
}

func TestParseFeatures(t *testing.T) {
	got, err := ParseFeatures([]string{"layering", "exclusive-lock", "journaling"})
	if uint64(got) != librbd.FeatureLayering|librbd.FeatureExclusiveLock|librbd.FeatureJournaling || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := ParseFeatures([]string{"layering", "levitation"}); err == nil {
		t.Error("no error about a feature that nobody knows")
	}
}
