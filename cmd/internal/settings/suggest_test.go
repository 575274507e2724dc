package settings

import "testing"

func TestSuggest(t *testing.T) {
	known := map[string]bool{
		"web.listen-address": true, "web.config.file": true, "ceph.user": true,
		"collector.daemon.enabled": true, "collector.daemon.exclude": true,
	}
	for name, want := range map[string]string{
		"web.listen-adr":          "; did you mean web.listen-address?",
		"web.listn":               "; did you mean web.listen-address?",
		"ceph.usr":                "; did you mean ceph.user?",
		"collector.daemon.enable": "; did you mean collector.daemon.enabled?",
		"collector.daemon":        "; did you mean collector.daemon.enabled?",
		"qqqqqqqq":                "",
		"":                        "",
	} {
		if got := Suggest(name, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
}
