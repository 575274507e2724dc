package node

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

// attempts is how often something is tried that is in the way of others for a moment.
const attempts = 30

// forever is for what ends by itself, or with the context.
const forever = 0

// unknownID stands for the number of an OSD that does not exist yet.
const unknownID = "<id>"

// command runs a program.
type command struct {
	argv []string
	// stdin is what it reads, and input what that is, for a person.
	stdin []byte
	input string
	// mayFail is for what makes no difference when it can't be done.
	mayFail bool
	// again tells of an error that passes by itself.
	again func(error) bool
}

func run(argv ...string) command { return command{argv: argv} }

func (c command) lines() []string {
	line := quote(c.argv)
	if c.input != "" {
		line += "  # " + c.input + " on standard input"
	}
	return []string{line}
}

func (c command) do(ctx context.Context, h *Host) error {
	for attempt := 1; ; attempt++ {
		_, err := h.Runner.Run(ctx, c.stdin, c.argv...)
		switch {
		case err == nil || c.mayFail:
			return nil
		case c.again == nil || !c.again(err) || attempt == attempts:
			return withoutSecret(err, c.stdin)
		}
		if err := h.sleep(ctx); err != nil {
			return err
		}
	}
}

// withoutSecret keeps an error from telling what a command was given on its standard input.
func withoutSecret(err error, secret []byte) error {
	if len(secret) > 0 && bytes.Contains([]byte(err.Error()), secret) {
		return errors.New(strings.ReplaceAll(err.Error(), string(secret), "(secret)"))
	}
	return err
}

// quote writes a command as a shell reads it.
func quote(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = quoteWord(word)
	}
	return strings.Join(words, " ")
}

func quoteWord(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	rest := strings.ReplaceAll(word, unknownID, "")
	if word != "" && strings.Trim(rest, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
