package ganeti

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

// fakeRAPI is a server that answers with files, and takes jobs.
type fakeRAPI struct {
	*httptest.Server
	mu sync.Mutex
	// files are the answers, by method and path.
	files map[string]string
	// job is the answer about each job after the first look, which finds it running.
	job string
	// deny are statuses with which it answers, by path.
	deny map[string]int
	// asked are requests that change something, with their bodies.
	asked []string
	looks int
}

func newFake(t *testing.T) (*fakeRAPI, *RAPI) {
	t.Helper()
	f := &fakeRAPI{files: make(map[string]string), job: `{"status": "success"}`}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	trust, err := ReadTLS(f.pem(t))
	if err != nil {
		t.Fatal(err)
	}
	r := NewRAPI(f.Listener.Addr().String(), Credentials{"admin", "secret"}, trust)
	r.pause = time.Millisecond
	return f, r
}

// pem writes the server's certificate as Ganeti does, behind a key.
func (f *fakeRAPI) pem(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rapi.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("key")})
	data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})...)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (f *fakeRAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if user, password, _ := r.BasicAuth(); user != "admin" || password != "secret" {
		refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if code := f.deny[r.URL.Path]; code != 0 {
		refuse(w, code, http.StatusText(code))
		return
	}
	if r.Method != http.MethodGet {
		body, _ := io.ReadAll(r.Body)
		f.asked = append(f.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)))
		if !f.answerQuery(w, r.URL.Path) {
			fmt.Fprint(w, "7")
		}
		return
	}
	if r.URL.Path == "/2/jobs/7" {
		f.looks++
		if f.looks == 1 {
			fmt.Fprint(w, `{"status": "running"}`)
			return
		}
		fmt.Fprint(w, f.job)
		return
	}
	answer, ok := f.files[r.URL.Path]
	if !ok {
		refuse(w, http.StatusNotFound, "Nothing matches the given URI")
		return
	}
	fmt.Fprint(w, answer)
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	data, _ := json.Marshal(map[string]any{"code": code, "message": message, "explain": "x"})
	_, _ = w.Write(data)
}

func sample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "rapi", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func newInventory(t *testing.T) (*fakeRAPI, *controltest.Runner, *Inventory) {
	t.Helper()
	fake, rapi := newFake(t)
	runner := controltest.NewRunner(t)
	return fake, runner, New(&Site{Cluster: "cluster.lab", Master: "node1.lab"}, rapi, runner)
}
