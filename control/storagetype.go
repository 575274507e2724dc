package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// StorageType is a kind of distributed storage: its name and the options that it takes.
type StorageType interface {
	// Name is what stands before the colon in -S, and what nodes and groups are marked with.
	Name() string
	// Options are all that it takes, in the order in which they are shown.
	Options() []Option
	// CheckTogether returns what is wrong with options that each are right, as Resolve returns them: one error, or
	// several joined.
	CheckTogether(values []OptionValue) error
	// Disks returns its disk template. Its defaults follow the storage options of the cluster.
	Disks(cluster Values) DiskTemplate
}

// Optioned is what takes options: a storage type, or a disk template.
type Optioned interface {
	Name() string
	Options() []Option
}

// Option is one storage option.
type Option struct {
	Name string
	// Help is half a sentence for the list of options.
	Help string
	// Default holds when nothing is given. Empty for none.
	Default string
	// Derive, when set, returns the default from what holds for the others.
	Derive func(get func(option string) []string) string
	// Repeat tells whether it may be given more than once.
	Repeat bool
	// PerNode tells whether a node can have its own.
	PerNode bool
	// Fixed tells whether it says where data is, so that it can't change under what uses it.
	Fixed bool
	// Grows tells whether more values can be given to a node that is in use already.
	Grows bool
	// Check says what is wanted when a value is none, for example "want an absolute path". Nil lets everything pass.
	Check func(value string) error
}

// Where the value of an option comes from.
const (
	SourceDefault = "default"
	SourceCluster = "cluster"
	SourceGroup   = "group"
	SourceNode    = "node"
	SourcePreset  = "preset"
)

// OptionValue is what holds for an option.
type OptionValue struct {
	Name string `json:"name"`
	// Values are several for an option that may repeat, and none for one without a value.
	Values []string `json:"values"`
	Source string   `json:"source"`
}

// Values are options as given, by name. One without values takes back what was given before.
type Values = map[string][]string

// ParseStorage parses arguments of -S, each TYPE:option=value,option=value with backslashes before commas and
// backslashes that belong to a value. It returns the options of each type, and all that is wrong as one error.
func ParseStorage(types []StorageType, args ...string) (map[string]Values, error) {
	return parseOptions("storage type", types, args)
}

// ParseDiskParams parses arguments of -D, which are written like those of -S.
func ParseDiskParams(templates []DiskTemplate, args ...string) (map[string]Values, error) {
	return parseOptions("disk template", templates, args)
}

func parseOptions[T Optioned](kind string, types []T, args []string) (map[string]Values, error) {
	given := make(map[string]Values)
	unknown := make(map[string]T)
	var wrong []error
	for _, arg := range args {
		name, list, colon := strings.Cut(arg, ":")
		t, err := named(kind, types, name)
		switch {
		case err != nil:
			wrong = append(wrong, err)
			continue
		case !colon || list == "":
			wrong = append(wrong, fmt.Errorf("%s: want %s:option=value,option=value", arg, name))
			continue
		case given[name] == nil:
			given[name] = make(Values)
		}
		for _, word := range SplitEscaped(list) {
			err := parseOption(t, word, given[name])
			if errors.Is(err, errNoOption) {
				unknown[name] = t
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s:%s: %w", name, word, err))
			}
		}
	}
	for name, t := range unknown {
		wrong = append(wrong, fmt.Errorf("the options of %s are\n%s", name, OptionHelp(t.Options())))
	}
	return given, errors.Join(wrong...)
}

func named[T Optioned](kind string, types []T, name string) (T, error) {
	var none T
	names := make([]string, len(types))
	for i, t := range types {
		if t.Name() == name {
			return t, nil
		}
		names[i] = t.Name()
	}
	return none, fmt.Errorf("no %s is called %q; there is %s", kind, name, strings.Join(names, ", "))
}

var errNoOption = errors.New("no such option")

// parseOption adds one option=value.
func parseOption(t Optioned, word string, given Values) error {
	name, value, ok := strings.Cut(word, "=")
	option, known := FindOption(t, name)
	_, twice := given[name]
	switch {
	case !known:
		return errNoOption
	case !ok:
		return fmt.Errorf("want %s=VALUE, or %s= to take back what was given before", name, name)
	case twice && !option.Repeat:
		return errors.New("given twice")
	case twice && (value == "" || len(given[name]) == 0):
		return fmt.Errorf("%s= takes back what was given before: it stands alone", name)
	case slices.Contains(given[name], value):
		return errors.New("the same value twice")
	case value == "":
		given[name] = []string{}
		return nil
	case option.Check != nil:
		if err := option.Check(value); err != nil {
			return err
		}
	}
	given[name] = append(given[name], value)
	return nil
}

// FindOption returns the option of a storage type with this name, or false.
func FindOption(t Optioned, name string) (Option, bool) {
	options := t.Options()
	i := slices.IndexFunc(options, func(o Option) bool { return o.Name == name })
	if i < 0 {
		return Option{}, false
	}
	return options[i], true
}

// OptionHelp returns a line for each option, with its help and default.
func OptionHelp(options []Option) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, o := range options {
		var more []string
		if o.Default != "" {
			more = append(more, "default "+o.Default)
		}
		if o.Repeat {
			more = append(more, "may be repeated")
		}
		if o.PerNode {
			more = append(more, "nodes can have their own")
		}
		help := o.Help
		if len(more) > 0 {
			help += " (" + strings.Join(more, ", ") + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\n", o.Name, help)
	}
	_ = w.Flush() // writes into memory
	return strings.TrimRight(text.String(), "\n")
}

// Resolve returns what holds for every option of a type: the node's own, else the cluster's, else the default.
func Resolve(t StorageType, cluster, node Values) []OptionValue {
	return resolve(t.Options(), cluster, node, SourceNode)
}

// ResolveDisk returns what holds for every disk parameter: the group's own, else the cluster's, else the default.
func ResolveDisk(t DiskTemplate, cluster, group Values) []OptionValue {
	return resolve(t.Options(), cluster, group, SourceGroup)
}

// ResolveDisk returns what holds for every disk parameter that there is: what is preset, else the group's own, else the
// cluster's, else the default.
func (c *Cluster) ResolveDisk(t DiskTemplate, g Group) []OptionValue {
	all := []OptionValue{}
	for _, v := range ResolveDisk(t, c.DiskParams[t.Name()], g.DiskParams[t.Name()]) {
		preset, ok := c.Preset[t.Name()][v.Name]
		switch {
		case ok && preset == "":
			continue
		case ok:
			v.Values, v.Source = []string{preset}, SourcePreset
		}
		all = append(all, v)
	}
	return all
}

// resolve returns what holds for options: what is given nearer to them, by source, else the cluster's, else the default.
func resolve(options []Option, cluster, near Values, source string) []OptionValue {
	all := make([]OptionValue, len(options))
	for i, o := range options {
		all[i] = OptionValue{Name: o.Name, Values: []string{}, Source: SourceDefault}
		switch {
		case (o.PerNode || source == SourceGroup) && len(near[o.Name]) > 0:
			all[i].Values, all[i].Source = near[o.Name], source
		case len(cluster[o.Name]) > 0:
			all[i].Values, all[i].Source = cluster[o.Name], SourceCluster
		case o.Default != "":
			all[i].Values = []string{o.Default}
		}
	}
	for i, o := range options { // once the others are known
		if o.Derive != nil && all[i].Source == SourceDefault {
			all[i].Values = []string{o.Derive(Getter(all))}
		}
	}
	return all
}

// Getter returns a function that looks values up by the name of their option.
func Getter(values []OptionValue) func(option string) []string {
	return func(option string) []string {
		for _, v := range values {
			if v.Name == option {
				return v.Values
			}
		}
		return nil
	}
}

// Follows tells whether a node that is in use can follow a change of its options: only more values were given to options
// that can grow.
func Follows(t StorageType, before, after []OptionValue) bool {
	old, now := Getter(before), Getter(after)
	for _, o := range t.Options() {
		was, is := old(o.Name), now(o.Name)
		if slices.Equal(was, is) {
			continue
		}
		if !o.Grows || slices.ContainsFunc(was, func(value string) bool { return !slices.Contains(is, value) }) {
			return false
		}
	}
	return true
}

// Merge returns options with those that were given after them: an option that was given replaces, and without values
// it takes back.
func Merge(before, given Values) Values {
	merged := make(Values)
	for name, values := range before {
		merged[name] = values
	}
	for name, values := range given {
		merged[name] = values
		if len(values) == 0 {
			delete(merged, name)
		}
	}
	return merged
}

// OptionWords writes options as they are typed, in the order in which they are shown, or what none means.
func OptionWords(t Optioned, values Values, none string) string {
	var words []string
	for _, o := range t.Options() {
		for _, v := range values[o.Name] {
			words = append(words, o.Name+"="+v)
		}
	}
	if len(words) == 0 {
		return none
	}
	return strings.Join(words, ", ")
}

// SplitEscaped splits at commas. A backslash makes a comma or a backslash after it part of the text.
func SplitEscaped(list string) []string {
	var words []string
	var word strings.Builder
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '\\' && i+1 < len(list) && (list[i+1] == ',' || list[i+1] == '\\'):
			i++
			word.WriteByte(list[i])
		case c == ',':
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	return append(words, word.String())
}
