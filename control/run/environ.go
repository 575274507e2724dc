package run

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// searchPath has the sbin folders, which the PATH of a user or of an ssh session may lack.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environ is the same whoever calls: answers are parsed, so they are asked for in one language.
func (r *Runner) environ() []string {
	env := []string{"PATH=" + searchPath, "LC_ALL=C", "HOME=" + home()}
	return append(env, r.Env...)
}

func home() string {
	if dir := os.Getenv("HOME"); dir != "" {
		return dir
	}
	if u, err := user.Current(); err == nil {
		return u.HomeDir
	}
	return "/"
}

// find looks a program up in the PATH that it will have itself; os/exec would take ours.
func find(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := ""
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("find %s in %s: %w", name, path, exec.ErrNotFound)
}
