package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const envPrefix = "CEPH_GANETI_EXPORTER_"

// readSettings sets every flag that was not given, from the environment or else from the configuration file.
func readSettings(f *pflag.FlagSet) error {
	v := viper.New()
	keys, variables := make(map[string]string), make(map[string]string)
	visit(f, func(flag, key string) {
		keys[key], variables[variable(flag)] = flag, flag
		_ = v.BindEnv(key, variable(flag)) // fails without a key only
	})
	if err := checkEnvironment(variables); err != nil {
		return err
	}
	file, err := readFile(f, v)
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
			return fmt.Errorf("%w: %s: no setting is called %s%s", errUsage, file, key, suggest(key, keys))
		case f.Changed(flag) || !v.IsSet(key):
		default:
			if err := set(f.Lookup(flag), v.Get(key)); err != nil {
				return fmt.Errorf("%w: %s: %w", errUsage, whence(flag, key, file), err)
			}
		}
	}
	return nil
}

// checkEnvironment refuses variables with our prefix that are no setting's.
func checkEnvironment(variables map[string]string) error {
	const file = envPrefix + "CONFIG_FILE"
	variables[file] = "config.file"
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if _, ok := variables[name]; !ok && strings.HasPrefix(name, envPrefix) {
			return fmt.Errorf("%w: environment: no setting is called %s%s", errUsage, name, suggest(name, variables))
		}
	}
	return nil
}

// readFile reads the configuration file, if there is one, and returns its path.
func readFile(f *pflag.FlagSet, v *viper.Viper) (string, error) {
	flag := f.Lookup("config.file")
	if path := os.Getenv(variable(flag.Name)); path != "" && !flag.Changed {
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
	if err := v.ReadInConfig(); err != nil {
		return "", fmt.Errorf("%w: read configuration file %s: %w", errUsage, path, err)
	}
	return path, nil
}

// whence says where a value comes from.
func whence(flag, key, file string) string {
	if os.Getenv(variable(flag)) != "" {
		return "environment: " + variable(flag)
	}
	return file + ": " + key
}

// wanted says what a value of a flag's type looks like.
var wanted = map[string]string{
	"bool":        "true or false",
	"int":         "a whole number",
	"duration":    "a duration, for example 5s",
	"string":      "one word or number",
	"stringSlice": "a list of words",
	"regexp":      "a regular expression",
	"mode":        "auto, always or never",
}

// set gives a flag a value from the environment or the file.
func set(flag *pflag.Flag, value any) error {
	flag.Changed = true
	want := wanted[flag.Value.Type()]
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

// visit calls fn for every setting with its flag and its key in the configuration file. Those that only make
// sense on the command line have no key.
func visit(f *pflag.FlagSet, fn func(flag, key string)) {
	f.VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Hidden, flag.Name == "config.check", flag.Name == "config.file", !strings.Contains(flag.Name, "."):
		case isSwitch(flag.Name):
			fn(flag.Name, flag.Name+".enabled")
		default:
			fn(flag.Name, flag.Name)
		}
	})
}

// isSwitch tells "collector.X" from the options "collector.X.Y".
func isSwitch(flag string) bool {
	return strings.HasPrefix(flag, "collector.") && strings.Count(flag, ".") == 1
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

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flag))
}
