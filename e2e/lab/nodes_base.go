package lab

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// baseScript makes the base: nodes_base.sh FOLDER SUITE HOST makes FOLDER/base of a release of Debian on a host of another
// or the same.
//
//go:embed nodes_base.sh
var baseScript string

// progressInterval is how often one who waits for the base is told how far it is.
const progressInterval = 10 * time.Second

// cacheDir returns the folder in which bases are kept, $LAB_CACHE or one of the user's cache, and makes it.
func cacheDir() (string, error) {
	dir := os.Getenv("LAB_CACHE")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache: %w: set LAB_CACHE to a folder", err)
		}
		dir = filepath.Join(cache, "ceph-ganeti-lab")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make cache: %w", err)
	}
	return dir, nil
}

// nodeBase returns the folder that nodes of a release of Debian, or the host's, are overlays of, and makes it when the
// cache does not have it.
func nodeBase(ctx context.Context, suite string, progress func(string)) (string, error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("read the host's release: %w", err)
	}
	host, err := debianSuite(string(release))
	if err != nil {
		return "", err
	}
	suite = cmp.Or(suite, host)
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	return cached{
		what: "base", path: filepath.Join(cache, fmt.Sprintf("node-%s-%s", suite, shortSum(baseScript))),
		script: baseScript, args: []string{suite, host}, progress: progress,
	}.get(ctx)
}

// cached is a folder of the cache that a script makes: as the folder what, in the folder that is its first argument.
type cached struct {
	what, path string
	script     string
	args       []string
	progress   func(string)
}

// get returns the folder's path, and makes the folder when it is not there.
func (c cached) get(ctx context.Context) (string, error) {
	lock, err := lockFile(ctx, c.path+".lock", func() { c.progress("waiting for another, who makes the " + c.what + " of the nodes") })
	if err != nil {
		return "", fmt.Errorf("make %s: %w", c.what, err)
	}
	defer lock.Close()
	if _, err := os.Stat(c.path); !errors.Is(err, fs.ErrNotExist) {
		return c.path, err
	}
	if err := c.build(ctx); err != nil {
		return "", fmt.Errorf("make %s: %w", c.what, err)
	}
	return c.path, nil
}

// shortSum tells texts apart.
func shortSum(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return fmt.Sprintf("%x", sum[:6])
}

// debianSuite returns the name of the Debian release that /etc/os-release describes.
func debianSuite(release string) (string, error) {
	values := map[string]string{}
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = strings.Trim(value, `"`)
	}
	if values["ID"] != "debian" || values["VERSION_CODENAME"] == "" {
		return "", fmt.Errorf("find the host's release: %q is not a release of Debian", values["PRETTY_NAME"])
	}
	return values["VERSION_CODENAME"], nil
}

// lockFile locks a file for as long as it is open. It calls wait when another has it.
func lockFile(ctx context.Context, path string, wait func()) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	told := false
	err = waitFor(ctx, path, quickPoll, func() (bool, error) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err == nil, err
		}
		if !told {
			told = true
			wait()
		}
		return false, nil
	})
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return file, nil
}

// build makes the folder beside where it will be, so that half of one never has its name.
func (c cached) build(ctx context.Context) (err error) {
	c.progress("making the " + c.what + " of the nodes, once: takes some minutes")
	group, err := newGroupWith(groupOptions{Parent: filepath.Dir(c.path)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, group.close()) }()
	namespace, err := newNamespace(ctx, group, "")
	if err != nil {
		return err
	}
	log := group.path("log")
	out, err := os.Create(log)
	if err != nil {
		return fmt.Errorf("make log: %w", err)
	}
	defer out.Close()
	reader, writer := io.Pipe()
	cmd := namespace.command(ctx, "sh", append([]string{"-c", c.script, "lab-" + c.what, group.Dir}, c.args...)...)
	cmd.Stdout, cmd.Stderr = writer, writer
	go c.report(io.TeeReader(reader, out))
	err = cmd.Run()
	writer.Close()
	if err != nil {
		return fmt.Errorf("run script: %w: %s", withStderr(ctx, err), tail(log, 2000))
	}
	if err := os.Rename(group.path(c.what), c.path); err != nil {
		return fmt.Errorf("keep %s: %w", c.what, err)
	}
	return nil
}

// report passes on what the script says that it does (lines that begin with #), and in between now and then what
// the programs say that it runs. It reads to the end.
func (c cached) report(r io.Reader) {
	last := time.Now()
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		step, ok := strings.CutPrefix(scanner.Text(), "# ")
		if ok || time.Since(last) > progressInterval {
			c.progress(c.what + ": " + step)
			last = time.Now()
		}
	}
	// A line that is too long for the scanner.
	_, _ = io.Copy(io.Discard, r)
}
