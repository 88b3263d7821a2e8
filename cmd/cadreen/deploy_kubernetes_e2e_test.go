package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/config"
	"cadreen/governance"
)

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
