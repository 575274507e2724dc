package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// receive reads the request, for as long as it may take to come.
func (o Options) receive(ctx context.Context, in io.Reader) (Request, error) {
	type received struct {
		request Request
		err     error
	}
	done := make(chan received, 1)
	go func() { // a read can't be ended: it is left behind, and the process ends soon
		r, err := readRequest(in)
		done <- received{r, err}
	}()
	timer := time.NewTimer(o.RequestTimeout)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.request, r.err
	case <-timer.C:
		return Request{}, fmt.Errorf("wait %s: %w", o.RequestTimeout, errNoRequest)
	case <-ctx.Done():
		return Request{}, fmt.Errorf("wait for a request: %w", context.Cause(ctx))
	}
}

// readRequest reads one JSON value and does not wait for the end of in. Its errors quote nothing: there may be secrets.
func readRequest(in io.Reader) (Request, error) {
	limited := &io.LimitedReader{R: in, N: requestLimit}
	decoder := json.NewDecoder(limited)
	var r Request
	err := decoder.Decode(&r)
	switch {
	case err == nil:
	case limited.N <= 0:
		return Request{}, fmt.Errorf("read request: it is larger than %d MiB", requestLimit>>20)
	case errors.Is(err, io.EOF):
		return Request{}, errNoRequest
	default:
		return Request{}, errors.New("read request: it is not the JSON that was expected")
	}
	rest, err := io.ReadAll(decoder.Buffered())
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return Request{}, errors.New("read request: there is more than one")
	}
	return r, nil
}
