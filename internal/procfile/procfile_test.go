package procfile

import "testing"

func TestMemory(t *testing.T) {
	const text = "MemTotal:       24683620 kB\nMemFree:  1 kB\nMemAvailable: x kB\nHugePages_Total:       0\nDirty: 18014398509481984 kB\n"
	for name, want := range map[string]uint64{"MemTotal": 24683620 << 10, "MemFree": 1 << 10} {
		if got, err := Memory(text, name); got != want || err != nil {
			t.Errorf("%s: got %d, %v, want %d", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"MemAvailable": "parse MemAvailable: not a number of kB", "HugePages_Total": "parse HugePages_Total: not a number of kB",
		"Dirty": "parse Dirty: not a number of kB", "Mem": "parse meminfo: no Mem",
	} {
		if _, err := Memory(text, name); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %s", name, err, want)
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add("MemTotal: 24683620 kB\n")
	f.Fuzz(func(t *testing.T, text string) {
		if memory, err := Memory(text, "MemTotal"); err == nil && int64(memory) < 0 {
			t.Errorf("memory is %d", memory)
		}
	})
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		"/srv": "/srv", `/srv/my\040files`: "/srv/my files", `a\134040`: `a\040`, `\011\012`: "\t\n", `\04`: `\04`, `\999`: `\999`,
	} {
		if got := Unescape(text); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", text, got, want)
		}
	}
}
