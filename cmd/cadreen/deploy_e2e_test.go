package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// deployed is a file of the folder deploy.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	require.NoError(t, err)
	return string(text)
}

// The parts of Kubernetes objects that the manifest uses. A member that is not
// here is a mistake in the manifest, or is to be added.
type (
	manifest struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string
		Metadata   objectMeta
		Data       map[string]string
		StringData map[string]string `yaml:"stringData"`
		Spec       yaml.Node
	}
	objectMeta struct {
		Name   string
		Labels map[string]string
	}
	selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	deployment struct {
		Replicas int
		Selector selector
		Strategy struct {
			Type          string
			RollingUpdate struct {
				MaxUnavailable int `yaml:"maxUnavailable"`
				MaxSurge       int `yaml:"maxSurge"`
			} `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata objectMeta
			Spec     pod
		}
	}
	pod struct {
		TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
		SecurityContext               struct {
			RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
			RunAsUser      int                   `yaml:"runAsUser"`
			RunAsGroup     int                   `yaml:"runAsGroup"`
			FsGroup        int                   `yaml:"fsGroup"`
			SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		TopologySpreadConstraints []struct {
			MaxSkew           int      `yaml:"maxSkew"`
			TopologyKey       string   `yaml:"topologyKey"`
			WhenUnsatisfiable string   `yaml:"whenUnsatisfiable"`
			LabelSelector     selector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []container
		Volumes    []struct {
			Name      string
			ConfigMap *struct{ Name string } `yaml:"configMap"`
			EmptyDir  *struct{}              `yaml:"emptyDir"`
		}
	}
	container struct {
		Name, Image string
		Args        []string
		Ports       []struct {
			Name          string
			ContainerPort int `yaml:"containerPort"`
		}
		Env []struct {
			Name, Value string
			ValueFrom   struct {
				SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		}
		VolumeMounts []struct {
			Name      string
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
		StartupProbe   probe `yaml:"startupProbe"`
		LivenessProbe  probe `yaml:"livenessProbe"`
		ReadinessProbe probe `yaml:"readinessProbe"`
		Lifecycle      struct {
			PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
		}
		Resources       struct{ Requests, Limits map[string]string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct{ Drop []string }
		} `yaml:"securityContext"`
	}
	probe struct {
		HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
		PeriodSeconds    int                         `yaml:"periodSeconds"`
		TimeoutSeconds   int                         `yaml:"timeoutSeconds"`
		FailureThreshold int                         `yaml:"failureThreshold"`
	}
	service struct {
		Selector map[string]string
		Ports    []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
	budget struct {
		MinAvailable int `yaml:"minAvailable"`
		Selector     selector
	}
)

// strictly decodes a node, and nothing that the type does not know.
func strictly(t *testing.T, n yaml.Node, into any) {
	t.Helper()
	text, err := yaml.Marshal(&n)
	require.NoError(t, err)
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(into))
}

// The manifest fits together, and fits the program: probes, settings, signals,
// policies.
func TestTheKubernetesManifestFits(t *testing.T) {
	objects := map[string]manifest{}
	for dec := yaml.NewDecoder(strings.NewReader(deployed(t, "kubernetes.yaml"))); ; {
		dec.KnownFields(true)
		var m manifest
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		objects[m.APIVersion+" "+m.Kind] = m
	}
	require.Len(t, objects, 5)
	var d deployment
	strictly(t, objects["apps/v1 Deployment"].Spec, &d)
	app := map[string]string{"app": "cadreen"}
	require.Equal(t, app, d.Selector.MatchLabels)
	require.Equal(t, app, d.Template.Metadata.Labels)
	require.Equal(t, app, d.Template.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels)
	require.Len(t, d.Template.Spec.Containers, 1)
	c := d.Template.Spec.Containers[0]

	t.Run("service and budget", func(t *testing.T) {
		var s service
		strictly(t, objects["v1 Service"].Spec, &s)
		require.Equal(t, app, s.Selector)
		require.Equal(t, c.Ports[0].Name, s.Ports[0].TargetPort)
		var b budget
		strictly(t, objects["policy/v1 PodDisruptionBudget"].Spec, &b)
		require.Equal(t, app, b.Selector.MatchLabels)
		require.Less(t, b.MinAvailable, d.Replicas, "or no node can be drained")
		require.Zero(t, d.Strategy.RollingUpdate.MaxUnavailable)
	})
	t.Run("settings", func(t *testing.T) {
		secret := objects["v1 Secret"]
		var env []string
		for _, e := range c.Env {
			value := e.Value
			if ref := e.ValueFrom.SecretKeyRef; ref.Name != "" {
				require.Equal(t, secret.Metadata.Name, ref.Name)
				value = secret.StringData[ref.Key]
			}
			require.NotEmpty(t, value, e.Name)
			env = append(env, e.Name+"="+value)
		}
		// As the image sets it.
		cfg, err := config.Load("", append(env, "CADREEN_LISTEN=0.0.0.0:8080"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("0.0.0.0:", c.Ports[0].ContainerPort), cfg.Listen)
		mounts := map[string]string{}
		for _, m := range c.VolumeMounts {
			mounts[m.MountPath] = m.Name
		}
		require.Equal(t, "policies", mounts[cfg.Policies])
	})
	t.Run("policies", func(t *testing.T) {
		folder := t.TempDir()
		for name, text := range objects["v1 ConfigMap"].Data {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
		}
		policies, err := governance.LoadFiles(folder)
		require.NoError(t, err)
		require.Len(t, policies, 1)
	})
	t.Run("probes", func(t *testing.T) {
		p := start(t, setup{})
		for path, p1 := range map[string]probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			require.Equal(t, path, p1.HTTPGet.Path)
			require.Equal(t, c.Ports[0].Name, p1.HTTPGet.Port)
			require.Greater(t, p1.TimeoutSeconds, 3, "a check of /readyz may take 3 s")
			require.Equal(t, 200, p.get(t, path, "", nil))
		}
		require.Equal(t, "/healthz", c.StartupProbe.HTTPGet.Path)
	})
	t.Run("time to stop", func(t *testing.T) {
		m := &Main{}
		m.setDefaults()
		pause := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		require.Greater(t, time.Duration(d.Template.Spec.TerminationGracePeriodSeconds)*time.Second, m.Grace+pause)
	})
	t.Run("nothing is needed that is not granted", func(t *testing.T) {
		require.True(t, d.Template.Spec.SecurityContext.RunAsNonRoot)
		require.True(t, c.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []string{"ALL"}, c.SecurityContext.Capabilities.Drop)
		docker, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
		require.NoError(t, err)
		require.Contains(t, string(docker), fmt.Sprintf("USER %d:%d", d.Template.Spec.SecurityContext.RunAsUser, d.Template.Spec.SecurityContext.RunAsGroup))
	})
}

// The unit is one that systemd reads, and its numbers fit the program.
func TestTheSystemdUnitFits(t *testing.T) {
	unit := deployed(t, "cadreen.service")
	sections, section := map[string]map[string]string{}, ""
	for line := range strings.Lines(unit) {
		line = strings.TrimSpace(line)
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			sections[section] = map[string]string{}
		default:
			require.True(t, ok, line)
			sections[section][name] = value
		}
	}
	s := sections["Service"]
	stop, err := strconv.Atoi(s["TimeoutStopSec"])
	require.NoError(t, err)
	m := &Main{}
	m.setDefaults()
	require.Greater(t, time.Duration(stop)*time.Second, m.Grace+5*time.Second)
	require.Equal(t, "/var/lib/"+s["StateDirectory"], s["WorkingDirectory"])
	words := strings.Fields(s["ExecStart"])
	require.Equal(t, []string{"/usr/local/bin/cadreen", "serve", "--config", "/etc/cadreen/cadreen.yaml"}, words)
	require.NotEmpty(t, sections["Install"]["WantedBy"])

	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("systemd-analyze is not here: the unit was read by this test only")
		return
	}
	// It wants the program to be there.
	file := filepath.Join(t.TempDir(), "cadreen.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(unit, words[0], "/bin/true", 1)), 0o600))
	out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput()
	require.NoError(t, err, string(out))
	for line := range strings.Lines(string(out)) {
		require.NotContains(t, line, "cadreen.service:", "%s", out)
	}
}

// Behind nginx and Caddy, as the page sets them up, streams come as they are
// written, a client that leaves stops the model, and an ask and its answer go
// through.
func TestTheProxiesOfTheDeployPageKeepStreamsAlive(t *testing.T) {
	t.Run("nginx", func(t *testing.T) {
		program, err := exec.LookPath("nginx")
		if err != nil {
			if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
				t.Skip("nginx is not here: install it (Debian: apt-get install nginx) to run this")
			}
		}
		behind(t, func(t *testing.T, upstream, listen string) *exec.Cmd { return nginx(t, program, upstream, listen) })
	})
	t.Run("caddy", func(t *testing.T) {
		program, err := exec.LookPath("caddy")
		if err != nil {
			t.Skip("caddy is not here: install it to run this")
		}
		behind(t, func(t *testing.T, upstream, listen string) *exec.Cmd { return caddy(t, program, upstream, listen) })
	})
}

// nginx is the file of the page but for addresses and certificates.
func nginx(t *testing.T, program, upstream, listen string) *exec.Cmd {
	text := deployed(t, "nginx.conf")
	require.Contains(t, text, "server 127.0.0.1:8080;")
	text = strings.Replace(text, "127.0.0.1:8080", upstream, 1)
	text = strings.Replace(text, "listen 443 ssl;", "listen "+listen+";", 1)
	text = regexp.MustCompile(`(?m)^\s*ssl_.*\n`).ReplaceAllString(text, "")
	folder := t.TempDir()
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += kind + "_temp_path " + folder + "/" + kind + ";\n"
	}
	whole := "daemon off;\npid " + folder + "/pid;\nerror_log stderr;\nworker_processes 1;\nevents { worker_connections 256; }\nhttp {\naccess_log off;\n" + temp + text + "}\n"
	if os.Getuid() == 0 {
		whole = "user root;\n" + whole
	}
	file := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(whole), 0o600))
	return exec.Command(program, "-p", folder, "-e", "stderr", "-c", file)
}

// caddy is the file of the page but for addresses.
func caddy(t *testing.T, program, upstream, listen string) *exec.Cmd {
	text := deployed(t, "Caddyfile")
	text = strings.Replace(text, "cadreen.example.com", "http://"+listen, 1)
	text = strings.Replace(text, "127.0.0.1:8080", upstream, 1)
	folder := t.TempDir()
	file := filepath.Join(folder, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+text), 0o600))
	cmd := exec.Command(program, "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(slices.Clone(os.Environ()), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	return cmd
}

func behind(t *testing.T, command func(t *testing.T, upstream, listen string) *exec.Cmd) {
	straight, model := startScripted(t, setup{yaml: quickBeats})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := listener.Addr().String()
	require.NoError(t, listener.Close())
	cmd := command(t, strings.TrimPrefix(straight.main.URL(), "http://"), listen)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	awaitTrue(t, "the proxy listens", func() bool {
		conn, err := net.Dial("tcp", listen)
		return err == nil && conn.Close() == nil
	})
	p := &proxyUnderTest{t: t, url: "http://" + listen + "/v1"}

	t.Run("text comes while the model is still writing, and heartbeats", func(t *testing.T) {
		h, gate := scripted.Head{}, make(chan struct{})
		model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), append([]scripted.Step{scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Text(0, "second"), h.Finish(0, "stop"))...)...)...))
		var got reply
		seen := 0
		got = watch(t, p, newChat("hi").streaming(true).body(), func(payload string) {
			if strings.Contains(payload, `"content":""}`) {
				if seen++; seen == 3 {
					close(gate) // only now does the model go on
				}
			}
		})
		require.Equal(t, "firstsecond", got.read(t).text)
		require.True(t, got.read(t).done)
	})
	t.Run("a client that leaves stops the model", func(t *testing.T) {
		h := scripted.Head{}
		sofar := len(model.Requests())
		model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), scripted.Stall())...))
		res, err := p.open(t.Context(), newChat("hi").streaming(true).body())
		require.NoError(t, err)
		_, err = res.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		asked, err := model.Await(t.Context(), sofar+1)
		require.NoError(t, err)
		select {
		case <-asked.Gone():
		case <-time.After(patience):
			require.Fail(t, "the model goes on")
		}
	})
	t.Run("asked and answered", func(t *testing.T) {
		bothWays(t, func(t *testing.T, stream bool) {
			ask, call := newChat(fmt.Sprint("Refund order 456 ", stream)).streaming(stream), refund("call_behind", refundArgs)
			asked := asks(t, p, model, ask, call)
			p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
		})
	})
	t.Run("a large body", func(t *testing.T) {
		model.Next(turnOf(false, "fine"))
		r := p.post(newChat(strings.Repeat("long ", 4<<20)).body())
		require.Equal(t, 200, r.status)
	})
	t.Run("metrics stay inside", func(t *testing.T) {
		res, err := http.Get("http://" + listen + "/metrics")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Contains(t, []int{403, 404}, res.StatusCode)
	})
}
