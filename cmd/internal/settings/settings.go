// Package settings reads what a program is told: every setting is a flag, a key of a configuration file and an
// environment variable. A flag wins over the environment, that over the file, that over the default.
package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Rules say how the flags of a program become keys and variables.
type Rules struct {
	// Prefix is what the environment variables begin with, for example "CEPHCTL_".
	Prefix string
	// File is the flag that names the configuration file. A file that is the flag's default may be missing.
	File string
	// Key returns the key of a flag in the configuration file, or nothing for one that makes sense on the command
	// line only.
	Key func(flag string) string
	// Wanted says what a value looks like, by the type of its flag. It is asked before the types that pflag has.
	Wanted map[string]string
	// Mistake is wrapped by every error about what the user has written.
	Mistake error
}

// Read sets every flag that was not given, from the environment or else from the configuration file.
func (r *Rules) Read(f *pflag.FlagSet) error {
	v := viper.New()
	keys, variables := make(map[string]string), make(map[string]string)
	r.Visit(f, func(flag, key string) {
		keys[key], variables[r.Variable(flag)] = flag, flag
		_ = v.BindEnv(key, r.Variable(flag)) // fails without a key only
	})
	if err := r.checkEnvironment(variables); err != nil {
		return err
	}
	file, err := r.readFile(f, v)
	if err != nil {
		return err
	}
	known := v.AllKeys()
	slices.Sort(known) // so that of many mistakes always the same is told
	for _, key := range known {
		flag, ok := keys[key]
		switch {
		case !ok && v.Get(key) == nil && isSection(key, keys): // all below it is commented out
		case !ok:
			return fmt.Errorf("%w: %s: no setting is called %s%s", r.Mistake, file, key, Suggest(key, keys))
		case f.Changed(flag) || !v.IsSet(key):
		default:
			if err := r.set(f.Lookup(flag), v.Get(key)); err != nil {
				return fmt.Errorf("%w: %s: %w", r.Mistake, r.whence(flag, key, file), err)
			}
		}
	}
	return nil
}

// checkEnvironment refuses variables with our prefix that are no setting's.
func (r *Rules) checkEnvironment(variables map[string]string) error {
	variables[r.Variable(r.File)] = r.File
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if _, ok := variables[name]; !ok && strings.HasPrefix(name, r.Prefix) {
			return fmt.Errorf("%w: environment: no setting is called %s%s", r.Mistake, name, Suggest(name, variables))
		}
	}
	return nil
}

// readFile reads the configuration file, if there is one, and returns its path.
func (r *Rules) readFile(f *pflag.FlagSet, v *viper.Viper) (string, error) {
	flag := f.Lookup(r.File)
	named := flag.Changed
	if path := os.Getenv(r.Variable(flag.Name)); path != "" && !named {
		named = true
		if err := flag.Value.Set(path); err != nil {
			return "", err
		}
	}
	path := flag.Value.String()
	if path == "" {
		return "", nil
	}
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	err := v.ReadInConfig()
	switch {
	case err != nil && !named && errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("%w: read configuration file %s: %w", r.Mistake, path, err)
	}
	return path, nil
}

// whence says where a value comes from.
func (r *Rules) whence(flag, key, file string) string {
	if os.Getenv(r.Variable(flag)) != "" {
		return "environment: " + r.Variable(flag)
	}
	return file + ": " + key
}

// wanted says what a value of a flag's type looks like.
func (r *Rules) wanted(kind string) string {
	if want, ok := r.Wanted[kind]; ok {
		return want
	}
	switch kind {
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	case "duration":
		return "a duration, for example 5s"
	case "stringSlice", "stringArray":
		return "a list of words"
	}
	return "one word or number"
}

// set gives a flag a value from the environment or the file.
func (r *Rules) set(flag *pflag.Flag, value any) error {
	flag.Changed = true
	want := r.wanted(flag.Value.Type())
	switch v := value.(type) {
	case map[string]any:
		return fmt.Errorf("want %s, got a section", want)
	case []any:
		words, ok := flag.Value.(pflag.SliceValue)
		if !ok {
			return fmt.Errorf("want %s, got a list", want)
		}
		return words.Replace(texts(v))
	}
	text := fmt.Sprint(value)
	if err := flag.Value.Set(text); err != nil {
		return fmt.Errorf("want %s, got %q", want, text)
	}
	return nil
}

func texts(list []any) []string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = fmt.Sprint(v)
	}
	return words
}

// Visit calls fn for every setting with its flag and its key in the configuration file.
func (r *Rules) Visit(f *pflag.FlagSet, fn func(flag, key string)) {
	f.VisitAll(func(flag *pflag.Flag) {
		if key := r.Key(flag.Name); key != "" && !flag.Hidden {
			fn(flag.Name, key)
		}
	})
}

// isSection tells whether there are settings below a key.
func isSection(key string, keys map[string]string) bool {
	for k := range keys {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}

// Variable returns the environment variable of a flag.
func (r *Rules) Variable(flag string) string {
	return r.Prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flag))
}
