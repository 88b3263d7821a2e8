package redis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"cadreen/store"
)

// retries is how often the client repeats a command that met a broken
// connection or a node that asks for it. tokenLife rests on it.
const retries = 3

// readTimeout is how long one answer may take unless the address says so.
const readTimeout = 3 * time.Second

// parse reads an address by hand: net/url knows neither several hosts nor a
// master's name before them. No error quotes what may be a secret.
func parse(address string) (*redis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil, invalid("it begins with redis://, rediss://, redis+cluster:// or redis+sentinel://")
	}
	o := &redis.UniversalOptions{
		// Push messages of protocol 3 are of no use here, and its maps would
		// need a second way to read every answer.
		Protocol:                 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		ContextTimeoutEnabled:    true,
		MaxRetries:               retries,
		MaxRedirects:             retries,
		DialerRetries:            1, // the command is repeated anyway
		DialTimeout:              readTimeout,
		ReadTimeout:              readTimeout,
		WriteTimeout:             readTimeout,
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, db, _ := strings.Cut(rest, "/")
	user, hosts := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, hosts = rest[:at], rest[at+1:]
	}
	secure, port := scheme == "rediss", "6379"
	switch scheme {
	case "redis", "rediss":
	case "redis+cluster":
		o.IsClusterMode = true
	case "redis+sentinel":
		port = "26379"
		at := strings.LastIndexByte(user, '@')
		if o.MasterName = user[at+1:]; o.MasterName == "" || strings.Contains(o.MasterName, ":") {
			return nil, invalid("the master's name is missing: redis+sentinel://master@host1,host2")
		}
		user = user[:max(at, 0)]
	default:
		return nil, invalid("scheme " + strconv.Quote(scheme) + " is none of redis, rediss, redis+cluster, redis+sentinel")
	}
	var err error
	if o.Username, o.Password, err = credentials(user); err != nil {
		return nil, err
	}
	if o.Addrs, err = addresses(hosts, port); err != nil {
		return nil, err
	}
	if len(o.Addrs) > 1 && !o.IsClusterMode && o.MasterName == "" {
		return nil, invalid("several hosts need redis+cluster:// or redis+sentinel://")
	}
	if db != "" {
		if o.IsClusterMode {
			return nil, invalid("a Cluster has no databases: leave out what follows the hosts")
		}
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 {
			return nil, invalid("the database after the hosts is not a number")
		}
	}
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o, parameters(o, query)
}

// tokenLife outlasts every repetition that the client makes of one Commit: four
// tries, each with a dial, a wait for a connection and a wait for the answer.
func tokenLife(o *redis.UniversalOptions) time.Duration {
	return max(time.Minute, 6*(o.DialTimeout+o.ReadTimeout+o.WriteTimeout))
}

func credentials(user string) (name, password string, err error) {
	name, password, _ = strings.Cut(user, ":")
	name, err1 := url.PathUnescape(name)
	password, err2 := url.PathUnescape(password)
	if err1 != nil || err2 != nil || strings.ContainsAny(user, "@#") {
		return "", "", invalid("user and password are percent-encoded")
	}
	return name, password, nil
}

func addresses(hosts, port string) ([]string, error) {
	var out []string
	for host := range strings.SplitSeq(hosts, ",") {
		address := host
		if h, p, err := net.SplitHostPort(host); err == nil {
			if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || h == "" {
				return nil, invalid("a host is not of the form host or host:port")
			}
		} else {
			h = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
			address = net.JoinHostPort(h, port)
		}
		if host == "" || strings.ContainsAny(host, " @#%\\") {
			return nil, invalid("a host is missing or not of the form host or host:port; a password with @ / ? # must be percent-encoded")
		}
		out = append(out, address)
	}
	return out, nil
}

func parameters(o *redis.UniversalOptions, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return invalid("the parameters after ? cannot be read")
	}
	for name, list := range values {
		if err := parameter(o, name, list[len(list)-1], values.Get("tls")); err != nil {
			return err
		}
	}
	return nil
}

func parameter(o *redis.UniversalOptions, name, value, secure string) (err error) {
	switch name {
	case "tls":
		on, err := strconv.ParseBool(value)
		if err != nil || o.TLSConfig != nil && !on {
			return invalid("tls is true or false, and not false with rediss:// or tls_ca")
		}
		if on && o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
	case "tls_ca":
		if o.TLSConfig == nil {
			if on, err := strconv.ParseBool(secure); err != nil || !on {
				return invalid("tls_ca needs rediss:// or tls=true")
			}
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.TLSConfig.RootCAs, err = authorities(value)
	case "pool_size":
		if o.PoolSize, err = strconv.Atoi(value); err != nil || o.PoolSize < 1 {
			return invalid("pool_size is a number from 1")
		}
	case "dial_timeout":
		o.DialTimeout, err = timeout(name, value)
	case "read_timeout":
		o.ReadTimeout, err = timeout(name, value)
		o.WriteTimeout = o.ReadTimeout
	case "sentinel_username", "sentinel_password":
		if o.MasterName == "" {
			return invalid(name + " belongs to redis+sentinel://")
		}
		if name == "sentinel_username" {
			o.SentinelUsername = value
		} else {
			o.SentinelPassword = value
		}
	default:
		return invalid("parameter " + strconv.Quote(name) + " is none of tls, tls_ca, pool_size, dial_timeout, read_timeout, sentinel_username, sentinel_password")
	}
	return err
}

// authorities reads the certificates to trust instead of the system's.
func authorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, invalid("tls_ca: " + err.Error())
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, invalid("tls_ca holds no PEM certificate")
	}
	return pool, nil
}

func timeout(name, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Millisecond || d > 30*time.Second {
		return 0, invalid(name + " is a time from 1ms to 30s, such as 3s")
	}
	return d, nil
}

func invalid(why string) error {
	return fmt.Errorf("%w: the address of the store: %s", store.ErrInvalid, why)
}
