package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestUserAndPassword(t *testing.T) {
	p := started(t)
	admin := open(t, "redis://"+p.Addr)
	require.NoError(t, admin.client.Do(t.Context(), "ACL", "SETUSER", "proxy", "on", ">s3cret@/", "~*", "&*", "+@all").Err())
	require.NoError(t, admin.client.Do(t.Context(), "ACL", "SETUSER", "default", "off").Err())
	works(t, open(t, "redis://proxy:s3cret%40%2F@"+p.Addr))

	for _, url := range []string{"redis://proxy:wr0ng@" + p.Addr, "redis://" + p.Addr} {
		_, err := Open(t.Context(), url)
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.NotContains(t, err.Error(), "wr0ng")
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	port := freePort(t)
	p, err := storetest.StartRedis(dir, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no")
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	works(t, open(t, "rediss://127.0.0.1:"+port+"?tls_ca="+cert))
	works(t, open(t, "redis://127.0.0.1:"+port+"?tls=true&tls_ca="+cert))

	_, err = Open(t.Context(), "rediss://127.0.0.1:"+port)
	require.ErrorIs(t, err, store.ErrUnavailable, "an unknown authority is not trusted")
	require.ErrorContains(t, err, "certificate")
	_, err = Open(t.Context(), "redis://127.0.0.1:"+port)
	require.ErrorIs(t, err, store.ErrUnavailable, "plain text to a TLS port")
}

func TestSentinelFindsTheMaster(t *testing.T) {
	master := started(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	sentinel := freePort(t)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, "port %s\nbind 127.0.0.1\nsentinel monitor main %s %s 1\n", sentinel, host, port), 0o600))
	cmd := exec.Command("redis-server", conf, "--sentinel")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	})
	url := "redis+sentinel://main@127.0.0.1:" + sentinel + "/2"
	for { // ends, or the test's own limit does
		e, err := Open(t.Context(), url)
		if err == nil {
			require.NoError(t, e.Close())
			break
		}
		require.ErrorIs(t, err, store.ErrUnavailable)
	}
	works(t, open(t, url))
	_, err := Open(t.Context(), "redis+sentinel://nobody@127.0.0.1:"+sentinel)
	require.ErrorIs(t, err, store.ErrUnavailable)
}

// works goes once through everything that speaks to the server in its own way.
func works(t *testing.T, e *Engine) {
	t.Helper()
	signals, err := e.Watch(t.Context(), "w")
	require.NoError(t, err)
	require.NoError(t, e.Commit(t.Context(), "w", thing("a", "v"), store.Append{Log: "l"}))
	<-signals
	docs, err := e.List(t.Context(), "w", "thing", store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.NoError(t, e.Check(t.Context()))
	r, err := e.Durability(t.Context())
	require.NoError(t, err)
	require.Empty(t, r.Problems())
}

func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs)
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}
