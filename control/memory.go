package control

import (
	"fmt"
	"maps"
	"sync"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// Memory is what an operation must not decide anew when it goes on after an interruption, such as the uuid of an OSD
// that was half made. Before the operation begins, and in a preview, it is kept in this process only.
type Memory struct {
	store Store

	mu        sync.Mutex
	data      map[string]string
	persisted bool
}

func newMemory(store Store, data map[string]string) *Memory {
	m := &Memory{store: store, data: map[string]string{}}
	maps.Copy(m.data, data)
	return m
}

// NewMemory returns a memory that is kept in this process only, for plans that are only looked at.
func NewMemory(data map[string]string) *Memory { return newMemory(nil, data) }

// Get returns what is remembered under a key, or "".
func (m *Memory) Get(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data[key]
}

// Keep remembers the value that decide returns, unless there is one already, and returns what is remembered. It is
// for plans, which are made before the operation begins.
func (m *Memory) Keep(key string, decide func() string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.data[key]; !ok {
		m.data[key] = decide()
	}
	return m.data[key]
}

// Set remembers a value for good. It is for steps.
func (m *Memory) Set(key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data[key] = value
	if !m.persisted {
		return nil
	}
	err := m.store.Update(func(st *state.State) error {
		if st.Operation != nil {
			if st.Operation.Data == nil {
				st.Operation.Data = map[string]string{}
			}
			st.Operation.Data[key] = value
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remember %s: %w", key, err)
	}
	return nil
}

func (m *Memory) all() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.data)
}

// persist makes Set write to the store from now on.
func (m *Memory) persist() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.persisted = m.store != nil
}
