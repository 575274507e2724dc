package redact

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	aesKey    = "AQDVdSNqzPr0IBAAlXwoaM0bYQlMaZ2I3ZLEQw=="
	aes256Key = "AgCqzSNqAAAAAB0AIABYu2rCqPzW0m1Vjxw3Y7t0CkWq8o1n5FhVbqgkq3mGxA=="
	fsid      = "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21"
)

func TestDocuments(t *testing.T) {
	known := Known{Hosts: []string{"node1.prod.lan"}, Instances: []string{"web.prod.lan", "db7"}}
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", ` {"a":1, "b" : [inf,-1.50,true,null]} `, ` {"a":1, "b" : [inf,-1.50,true,null]} `},
		{"large number", `{"a":18446744073709551615}`, `{"a":18446744073709551615}`},
		{"known host", `{"name":"node1","addr":"node1.prod.lan:3300"}`, `{"name":"host1","addr":"host1.example.net:3300"}`},
		{
			"known host within names", `["mon.node1","/var/lib/ceph/mon/ceph-node1/store.db","ceph-mon.node1.asok","node10","xnode1"]`,
			`["mon.host1","/var/lib/ceph/mon/ceph-host1/store.db","ceph-mon.host1.asok","node10","xnode1"]`,
		},
		{"case", `["NODE1","Node1.Prod.Lan"]`, `["host1","host1.example.net"]`},
		{"learned host", `[{"hostname":"store7"},"osd.1 on store7 is down"]`, `[{"hostname":"host2"},"osd.1 on host2 is down"]`},
		{
			"host of the CRUSH tree", `{"nodes":[{"id":-3,"name":"rack-a-1","type":"host"},{"type":"host","name":"rack-a-2"},{"name":"default","type":"root"}]}`,
			`{"nodes":[{"id":-3,"name":"host2","type":"host"},{"type":"host","name":"host3"},{"name":"default","type":"root"}]}`,
		},
		{"host in a message", `{"message":"osd.3 (root=default,host=store9) is down"}`, `{"message":"osd.3 (root=default,host=host2) is down"}`},
		{"host as a field", `{"hostname":"store7","store7":1}`, `{"hostname":"host2","host2":1}`},
		{
			"host called like a counter", `[{"hostname":"bluefs"},{"bluefs_db_bytes":1,"mon-bluefs":2},"bluefs"]`,
			`[{"hostname":"host2"},{"bluefs_db_bytes":1,"mon-bluefs":2},"host2"]`,
		},
		{"ordinary names stay in text", `{"hostname":"ceph","host":"localhost","path":"/var/lib/ceph"}`, `{"hostname":"host2","host":"localhost","path":"/var/lib/ceph"}`},
		{"ordinary name in the CRUSH tree", `{"name":"vm","type":"host","id":-3,"rule":"vm"}`, `{"name":"host2","type":"host","id":-3,"rule":"vm"}`},
		{"ordinary name with a domain", `{"hostname":"node.corp.example","text":"at node.corp.example"}`, `{"hostname":"host2.example.net","text":"at host2.example.net"}`},
		{
			"instance", `["-name","web.prod.lan","/run/ctrl/web.prod.lan.qmp","guest=db7"]`,
			`["-name","instance1.example.net","/run/ctrl/instance1.example.net.qmp","guest=instance2.example.net"]`,
		},
		{"other name of a known domain", `"see [mirror.prod.lan]"`, `"see [name1.example.net]"`},
		{"other name of a common domain", `["https://ceph.acme.com/x","admin@acme.com"]`, `["https://ceph.name1.example.net/x","admin@name1.example.net"]`},
		{
			"IPv4", `{"addr":"10.0.0.1:6789/0","v":"[v2:10.0.0.1:3300/0,v1:10.0.0.2:6789/0]","any":"0.0.0.0","lo":"127.0.0.1"}`,
			`{"addr":"192.0.2.1:6789/0","v":"[v2:192.0.2.1:3300/0,v1:192.0.2.2:6789/0]","any":"0.0.0.0","lo":"127.0.0.1"}`,
		},
		{"no IPv4", `["16.2.15","1.2.3.4000","6.1.0-18-amd64"]`, `["16.2.15","1.2.3.4000","6.1.0-18-amd64"]`},
		{
			"IPv6", `["[fe80::1]:6789/0","FE80:0::1","fd00::abcd: refused","::1","::","12:34:56","Worker::add"]`,
			`["[2001:db8::1]:6789/0","2001:db8::1","2001:db8::2: refused","::1","::","12:34:56","Worker::add"]`,
		},
		{"MAC", `{"mac":"AA:00:00:ec:6d:e8","m":"mac=aa:00:00:ec:6d:e8,x"}`, `{"mac":"02:00:00:00:00:01","m":"mac=02:00:00:00:00:01,x"}`},
		{
			"cluster id", `{"fsid":"` + fsid + `","p":"/run/ceph/` + fsid + `/x"}`,
			`{"fsid":"00000000-0000-4000-8000-000000000001","p":"/run/ceph/00000000-0000-4000-8000-000000000001/x"}`,
		},
		{"other UUIDs stay", `{"uuid":"` + fsid + `"}`, `{"uuid":"` + fsid + `"}`},
		{"key by its form", `["` + aesKey + `","x ` + aes256Key + ` y"]`, `["REDACTED","x REDACTED y"]`},
		{
			"no key", `["/tmp/BenchmarkOfManyDaemons=500/x","some/long/path/Agent/and/more/of/it/and/more","--rbd-default-features-of-images=5"]`,
			`["/tmp/BenchmarkOfManyDaemons=500/x","some/long/path/Agent/and/more/of/it/and/more","--rbd-default-features-of-images=5"]`,
		},
		{
			"key by its field", `{"key":"abc","cephx-key":"def","authKey":"ghi","keys":["stays"]}`,
			`{"key":"REDACTED","cephx-key":"REDACTED","authKey":"REDACTED","keys":["stays"]}`,
		},
		{"all below a field", `{"secret":{"a":["x",{"b":"y"}]},"c":"z"}`, `{"secret":{"a":["REDACTED",{"b":"REDACTED"}]},"c":"z"}`},
		{"password that is a number", `{"vnc_password":1234,"b":5}`, `{"vnc_password":0,"b":5}`},
		{
			"name and value", `[{"name":"dashboard/password","value":"x"},{"name":"b","value":"y"}]`,
			`[{"name":"dashboard/password","value":"REDACTED"},{"name":"b","value":"y"}]`,
		},
		{
			"perf counter with such a name", `{"keystone_token_cache_hit":{"type":10,"metric_type":"counter","description":"Hits"}}`,
			`{"keystone_token_cache_hit":{"type":10,"metric_type":"counter","description":"Hits"}}`,
		},
		{
			"health check with such a name", `{"AUTH_KEY_TYPE":{"severity":"HEALTH_WARN","summary":{"message":"1 key"},"detail":[{"message":"x"}]}}`,
			`{"AUTH_KEY_TYPE":{"severity":"HEALTH_WARN","summary":{"message":"1 key"},"detail":[{"message":"x"}]}}`,
		},
		{"rbd file name", `["rbd:vms/d:id=x:key=` + aesKey + `:conf=/c"]`, `["rbd:vms/d:id=x:key=REDACTED"]`},
		{
			"QEMU secret", `["-object","secret,id=k,data=a,,b,format=raw","-object","{\"qom-type\":\"secret\",\"data\":\"hunter2\"}"]`,
			`["-object","secret,id=k,data=REDACTED,format=raw","-object","{\"qom-type\":\"secret\",\"data\":\"REDACTED\"}"]`,
		},
		{
			"JSON in a string", `{"filename":"json:{\"driver\":\"rbd\",\"key-secret\":\"s0\",\"server\":[{\"host\":\"10.0.0.9\"}]}"}`,
			`{"filename":"json:{\"driver\":\"rbd\",\"key-secret\":\"REDACTED\",\"server\":[{\"host\":\"192.0.2.1\"}]}"}`,
		},
		{"option and value", `["--password","hunter2","--user","me"]`, `["--password","REDACTED","--user","me"]`},
		{"login", `"http://me:hunter2@[::1]/"`, `"http://me:REDACTED@[::1]/"`},
		{"config_info", `10.0.0.1:6789 name=admin,secret=` + aesKey + ` vms d -`, `192.0.2.1:6789 name=admin,secret=REDACTED vms d -`},
		{"keyring", "[client.x]\n\tkey = " + aesKey + "\n\tcaps mon = \"allow r\"\n", "[client.x]\n\tkey = REDACTED\n\tcaps mon = \"allow r\"\n"},
		{"PEM", "a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a\nREDACTED\nb"},
		{"JSON that is cut off", `{"a":"10.0.0.1","key":"hunt`, `{"a":"192.0.2.1","key":"hunt`},
		{"escapes", `{"a":"tab\there\u0041","b":"10.0.0.1\n\"<&>\""}`, `{"a":"tab\there\u0041","b":"192.0.2.1\n\"<&>\""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := Documents(known, []string{tt.in})
			if diff := cmp.Diff(tt.want, got[0]); diff != "" {
				t.Error(diff)
			}
			if json.Valid([]byte(tt.in)) && !json.Valid([]byte(got[0])) {
				t.Error("not JSON any more")
			}
		})
	}
}

// A name that one document teaches is replaced in those before it too, and by the same.
func TestDocumentsAreConsistent(t *testing.T) {
	got, counts := Documents(Known{}, []string{"/run/ceph/ceph-mon.store7.asok", `{"hostname":"store7","a":"10.1.1.1","key":"x"}`, "10.1.1.2 10.1.1.1"})
	want := []string{"/run/ceph/ceph-mon.host1.asok", `{"hostname":"host1","a":"192.0.2.1","key":"REDACTED"}`, "192.0.2.2 192.0.2.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Counts{Hosts: 1, IPv4: 2, Secrets: 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestManyAddresses(t *testing.T) {
	seen := make(map[string]bool)
	for n := 1; n < 2000; n++ {
		seen[documentationIPv4(n).String()] = true
	}
	if len(seen) != 1999 {
		t.Errorf("%d different addresses, want 1999", len(seen))
	}
}

func FuzzDocuments(f *testing.F) {
	for _, s := range []string{
		``, `{`, `{"a":"b"}`, `[{"hostname":"a.b"},"x"]`, `{"key":"AQ=="}`, `"\ud800"`, "{\"a\":\"\xff\"}", `[1,inf,{"password":12e4}]`,
		`{"a":"json:{\"key\":\"x\"}"}`, "host=a.b.c.", "::1.:", "a.-_b", `{"fsid":"` + fsid + `"}`, `["10.1.2.3","fe80::","-key","a=b"]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		out, _ := Documents(Known{Hosts: []string{"zqhost.zqdomain.lan"}}, []string{doc, doc})
		if out[0] != out[1] {
			t.Errorf("%q gives %q, then %q", doc, out[0], out[1])
		}
		if json.Valid([]byte(doc)) && !json.Valid([]byte(out[0])) {
			t.Errorf("%q gives %q, which is not JSON", doc, out[0])
		}
		if strings.Contains(strings.ToLower(out[0]), "zqhost.zqdomain.lan") && isJSON(doc) && json.Valid([]byte(doc)) {
			t.Errorf("host stays in %q", out[0])
		}
	})
}

// FuzzSecrets puts a secret into the places where they are found.
func FuzzSecrets(f *testing.F) {
	f.Add("hunter2hunter2", "10.0.0.1")
	f.Add("p@ss:w,or=d;\"x'", "a b")
	f.Add("ünï\\cödé\x00xx", "key=")
	f.Fuzz(func(t *testing.T, secret, around string) {
		const shortest = 8 // what is shorter may well be part of a word
		if len(secret) < shortest || strings.Contains(around, secret) || strings.Contains("REDACTED", secret) {
			return
		}
		text, err := json.Marshal(secret)
		if err != nil {
			return
		}
		var plain string
		if err := json.Unmarshal(text, &plain); err != nil || strings.ContainsAny(plain, "\ufffd") {
			return
		}
		side, _ := json.Marshal(around)
		for _, doc := range []string{
			`{"a":` + string(side) + `,"password":` + string(text) + `}`,
			`{"a":` + string(side) + `,"secret":{"x":[` + string(text) + `,` + string(side) + `]}}`,
			`{"args":[` + string(side) + `,"--token",` + string(text) + `]}`,
			`{"qom-type":"secret","id":` + string(side) + `,"data":` + string(text) + `}`,
			`[{"name":"a/key","value":` + string(text) + `}]`,
		} {
			out, _ := Documents(Known{}, []string{doc})
			if strings.Contains(out[0], string(text)) {
				t.Errorf("secret stays: %q gives %q", doc, out[0])
			}
			if !json.Valid([]byte(out[0])) {
				t.Errorf("%q gives %q, which is not JSON", doc, out[0])
			}
		}
	})
}

// FuzzKeys puts a cephx key anywhere.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), "x ", " y", false)
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"), `{"a":"`, `"}`, true)
	f.Fuzz(func(t *testing.T, random []byte, before, after string, long bool) {
		key := makeKey(random, long)
		out, _ := Documents(Known{}, []string{before + key + after})
		if strings.Contains(out[0], key) {
			t.Errorf("key stays in %q", out[0])
		}
	})
}
