package cephstorage

import (
	"context"
	"fmt"
	"strings"
)

// inTrash follows the name of an image that was moved to the trash.
const inTrash = " in the trash"

// images lists all that keeps a pool from being empty of images: those of the pool and of its namespaces, as
// NAMESPACE/IMAGE, and those in the trash, from where they could still be brought back.
func (s *Storage) images(ctx context.Context, pool string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cliTimeout, fmt.Errorf("no answer within %s", cliTimeout))
	defer cancel()
	type named struct {
		Name string `json:"name"`
	}
	namespaces, err := askRBD[named](ctx, s, "namespace", "ls", "--pool", pool)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, namespace := range append([]named{{}}, namespaces...) {
		prefix, where := "", []string{"--pool", pool}
		if namespace.Name != "" {
			prefix, where = namespace.Name+"/", append(where, "--namespace", namespace.Name)
		}
		images, err := askRBD[string](ctx, s, append([]string{"ls"}, where...)...)
		if err != nil {
			return nil, err
		}
		for _, image := range images {
			all = append(all, prefix+image)
		}
		trash, err := askRBD[named](ctx, s, append([]string{"trash", "ls", "--all"}, where...)...)
		if err != nil {
			return nil, err
		}
		for _, image := range trash {
			all = append(all, prefix+image.Name+inTrash)
		}
	}
	return all, nil
}

// askRBD runs a command of rbd's that lists something.
func askRBD[T any](ctx context.Context, s *Storage, args ...string) ([]T, error) {
	argv := append([]string{"rbd"}, args...)
	out, err := s.env.Runner.Run(ctx, nil, append(argv, "--format", "json")...)
	if err != nil {
		return nil, err
	}
	list, err := parse[[]T](strings.Join(argv, " "), out)
	if err != nil {
		return nil, err
	}
	return *list, nil
}

// some counts images and names the first of them.
func some(images []string) string {
	switch {
	case len(images) == 1:
		return "1 image (" + images[0] + ")"
	case len(images) <= 3:
		return fmt.Sprintf("%d images (%s)", len(images), strings.Join(images, ", "))
	}
	return fmt.Sprintf("%d images (%s, …)", len(images), strings.Join(images[:3], ", "))
}
