package settings

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// Example returns a configuration file that has every setting with its default, commented out, below a heading.
// section splits a key into the sections that it stands in and its name in the last of them.
func (r *Rules) Example(f *pflag.FlagSet, heading string, section func(key string) (sections []string, name string)) []byte {
	var out bytes.Buffer
	out.WriteString(heading)
	f.SortFlags = false
	var open []string
	r.Visit(f, func(flag, key string) {
		sections, name := section(key)
		for i, s := range sections {
			if i < len(open) && open[i] == s {
				continue
			}
			open = open[:min(i, len(open))]
			fmt.Fprintf(&out, "\n#%s%s:", strings.Repeat("  ", i), s)
			open = append(open, s)
		}
		open = open[:len(sections)]
		indent := strings.Repeat("  ", len(sections))
		fmt.Fprintf(&out, "\n##%s%s\n#%s%s: %s", indent, f.Lookup(flag).Usage, indent, name, yamlValue(f.Lookup(flag)))
	})
	out.WriteString("\n")
	return out.Bytes()
}

func yamlValue(flag *pflag.Flag) string {
	if v, ok := flag.Value.(pflag.SliceValue); ok {
		return fmt.Sprintf("%q", v.GetSlice())
	}
	switch flag.Value.Type() {
	case "bool", "int", "duration":
		return flag.DefValue
	}
	return fmt.Sprintf("%q", flag.DefValue)
}

// Uncomment returns an example with all its settings in effect.
func Uncomment(example []byte) []byte {
	var out bytes.Buffer
	for line := range strings.Lines(string(example)) {
		if !strings.HasPrefix(line, "##") {
			line = strings.TrimPrefix(line, "#")
		}
		out.WriteString(line)
	}
	return out.Bytes()
}
