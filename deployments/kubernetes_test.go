package deployments

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifest is what our manifests use of the format.
type manifest struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Replicas       int
		ServiceName    string `yaml:"serviceName"`
		Selector       any
		PodSelector    any      `yaml:"podSelector"`
		MaxUnavailable any      `yaml:"maxUnavailable"`
		PolicyTypes    []string `yaml:"policyTypes"`
		Ports          []struct {
			TargetPort any `yaml:"targetPort"`
		}
		VolumeClaimTemplates []struct {
			Metadata struct{ Name string }
			Spec     struct {
				AccessModes []string `yaml:"accessModes"`
			}
		} `yaml:"volumeClaimTemplates"`
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Token           *bool `yaml:"automountServiceAccountToken"`
				Links           *bool `yaml:"enableServiceLinks"`
				Grace           int   `yaml:"terminationGracePeriodSeconds"`
				SecurityContext struct {
					RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
					RunAsUser      int                   `yaml:"runAsUser"`
					FSGroup        int                   `yaml:"fsGroup"`
					SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
				} `yaml:"securityContext"`
				Containers []container
				Volumes    []struct{ Name string }
			}
		}
	}
}

type container struct {
	Name, Image string
	Args        []string
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Env            []struct{ Name, Value string }
	StartupProbe   probe `yaml:"startupProbe"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Resources      struct{ Requests, Limits map[string]any }
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	SecurityContext struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		Privileged   bool
		ReadOnlyRoot bool `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop, Add []string }
	} `yaml:"securityContext"`
}

type probe struct {
	HTTPGet          struct{ Path, Port string } `yaml:"httpGet"`
	Period           int                         `yaml:"periodSeconds"`
	FailureThreshold int                         `yaml:"failureThreshold"`
}

// manifests reads several documents.
func manifests(documents string) (all []manifest, err error) {
	d := yaml.NewDecoder(strings.NewReader(documents))
	for {
		var m manifest
		if err := d.Decode(&m); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
}

// kubernetesFaults says what is wrong with manifests, all of them together.
func kubernetesFaults(documents string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	all, err := manifests(documents)
	if err != nil {
		return []string{err.Error()}
	}
	kinds := map[string]int{}
	var labels map[string]string
	var ports []string
	for _, m := range all {
		kinds[m.Kind]++
		if m.Kind != "StatefulSet" {
			continue
		}
		labels = m.Spec.Template.Metadata.Labels
		pod := m.Spec.Template.Spec
		if s := pod.SecurityContext; !s.RunAsNonRoot || s.RunAsUser != 65532 || s.FSGroup != 65532 || s.SeccompProfile.Type != "RuntimeDefault" {
			fault("the pod may do more than it must")
		}
		if pod.Token == nil || *pod.Token || pod.Links == nil || *pod.Links {
			fault("the pod is told what it need not know")
		}
		if pod.Grace < 15 {
			fault("%d s to stop, and it takes up to 10", pod.Grace)
		}
		volumes := map[string]bool{}
		for _, v := range pod.Volumes {
			volumes[v.Name] = true
		}
		for _, v := range m.Spec.VolumeClaimTemplates {
			volumes[v.Metadata.Name] = true
			if !slices.Equal(v.Spec.AccessModes, []string{"ReadWriteOncePod"}) {
				fault("the volume %s may have several writers: %v", v.Metadata.Name, v.Spec.AccessModes)
			}
		}
		if len(m.Spec.VolumeClaimTemplates) == 0 {
			fault("no volume of its own")
		}
		if len(pod.Containers) != 1 {
			fault("%d containers", len(pod.Containers))
		}
		for _, c := range pod.Containers {
			if s := c.SecurityContext; s.Escalation == nil || *s.Escalation || s.Privileged || !s.ReadOnlyRoot || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) || len(s.Capabilities.Add) > 0 {
				fault("%s may do more than it must", c.Name)
			}
			if c.Resources.Limits["memory"] == nil || c.Resources.Limits["cpu"] == nil || c.Resources.Requests["memory"] == nil {
				fault("%s has no limits", c.Name)
			}
			for _, p := range c.Ports {
				ports = append(ports, p.Name)
			}
			for what, p := range map[string]struct {
				probe
				path string
			}{"startup": {c.StartupProbe, "/livez"}, "liveness": {c.LivenessProbe, "/livez"}, "readiness": {c.ReadinessProbe, "/readyz"}} {
				if p.HTTPGet.Path != p.path || !slices.Contains(ports, p.HTTPGet.Port) {
					fault("%s probe asks %s at %s, want %s", what, p.HTTPGet.Path, p.HTTPGet.Port, p.path)
				}
			}
			if c.StartupProbe.Period*c.StartupProbe.FailureThreshold < 600 {
				fault("%s is killed when it builds its views for ten minutes", c.Name)
			}
			data := ""
			for _, e := range c.Env {
				if e.Name == "GRIDCASE_DATA" {
					data = e.Value
				}
				if e.Name == "GRIDCASE_LISTEN" && (len(c.Ports) != 1 || !strings.HasSuffix(e.Value, fmt.Sprint(":", c.Ports[0].ContainerPort))) {
					fault("%s listens on %s, its ports are %v", c.Name, e.Value, c.Ports)
				}
			}
			mounted := false
			for _, v := range c.VolumeMounts {
				if !volumes[v.Name] {
					fault("no volume %s", v.Name)
				}
				mounted = mounted || v.MountPath == data && v.Name == "data"
			}
			if !mounted {
				fault("the data folder %q is on no volume", data)
			}
			if image := c.Image; strings.HasSuffix(image, ":latest") {
				fault("the image is called latest")
			}
		}
	}
	for _, m := range all {
		selector := ""
		switch m.Kind {
		case "Service":
			selector = fmt.Sprint(m.Spec.Selector)
			for _, p := range m.Spec.Ports {
				if !slices.Contains(ports, fmt.Sprint(p.TargetPort)) {
					fault("the service %s leads to port %v", m.Metadata.Name, p.TargetPort)
				}
			}
		case "PodDisruptionBudget":
			selector = fmt.Sprint(m.Spec.Selector)
			if m.Spec.MaxUnavailable == nil {
				fault("the disruption budget says nothing")
			}
		case "NetworkPolicy":
			selector = fmt.Sprint(m.Spec.PodSelector)
			if !slices.Equal(m.Spec.PolicyTypes, []string{"Ingress", "Egress"}) {
				fault("the network is open: %v", m.Spec.PolicyTypes)
			}
		case "StatefulSet":
			selector = fmt.Sprint(m.Spec.Selector)
			found := false
			for _, s := range all {
				found = found || s.Kind == "Service" && s.Metadata.Name == m.Spec.ServiceName
			}
			if !found {
				fault("no service %s", m.Spec.ServiceName)
			}
		default:
			continue
		}
		if want := labels["app.kubernetes.io/name"]; want == "" || !strings.Contains(selector, "app.kubernetes.io/name:"+want+"]") {
			fault("%s %s selects %s, the pods are %v", m.Kind, m.Metadata.Name, selector, labels)
		}
	}
	for _, kind := range []string{"StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy"} {
		if kinds[kind] == 0 {
			fault("no %s", kind)
		}
	}
	slices.Sort(faults)
	return faults
}

func TestManifestsAskForNoMoreThanTheyNeed(t *testing.T) {
	var k struct {
		Resources []string
		Images    []struct {
			Name   string
			NewTag string `yaml:"newTag"`
		}
	}
	if err := yaml.Unmarshal([]byte(text(t, "kubernetes/kustomization.yaml")), &k); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) != len(k.Resources)+1 {
		t.Errorf("%v %v: the kustomization names %v", files, err, k.Resources)
	}
	if len(k.Images) != 1 || k.Images[0].NewTag == "" || k.Images[0].NewTag == "latest" {
		t.Errorf("the image has no tag: %v", k.Images)
	}
	var documents []string
	for _, r := range k.Resources {
		documents = append(documents, text(t, "kubernetes/"+r))
	}
	good := strings.Join(documents, "\n---\n")
	for _, f := range kubernetesFaults(good) {
		t.Error(f)
	}
	for from, to := range map[string]string{
		"runAsNonRoot: true":                               "runAsNonRoot: false",
		"readOnlyRootFilesystem: true":                     "readOnlyRootFilesystem: false",
		"allowPrivilegeEscalation: false\n":                "\n",
		"privileged: false":                                "privileged: true",
		"drop: [ALL]":                                      "drop: [NET_RAW]",
		"automountServiceAccountToken: false\n":            "\n",
		"enableServiceLinks: false":                        "enableServiceLinks: true",
		"{path: /readyz, port: http}":                      "{path: /livez, port: http}",
		"failureThreshold: 240":                            "failureThreshold: 3",
		`limits: {cpu: "2", memory: 2Gi}`:                  `limits: {cpu: "2"}`,
		"[ReadWriteOncePod]":                               "[ReadWriteMany]",
		"mountPath: /var/lib/gridcase":                     "mountPath: /data",
		"terminationGracePeriodSeconds: 20":                "terminationGracePeriodSeconds: 5",
		`value: "0.0.0.0:8080"`:                            `value: "0.0.0.0:8081"`,
		"policyTypes: [Ingress, Egress]":                   "policyTypes: [Egress]",
		"serviceName: gridcase-nodes":                      "serviceName: nodes",
		"targetPort: http":                                 "targetPort: web",
		"  maxUnavailable: 1\n":                            "",
		"app.kubernetes.io/name: gridcase}\n  policyTypes": "app.kubernetes.io/name: other}\n  policyTypes",
		"image: gridcase":                                  "image: gridcase:latest",
	} {
		if bad := strings.Replace(good, from, to, 1); bad == good {
			t.Errorf("the manifests have no %q to spoil", from)
		} else if len(kubernetesFaults(bad)) == 0 {
			t.Errorf("%q instead of %q is not noticed", to, from)
		}
	}
}
