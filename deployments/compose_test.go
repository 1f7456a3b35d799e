package deployments

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// composed is what our compose files use of the format.
type composed struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Environment any
		Ports       []string
		Volumes     []string
		Secrets     []string
		DependsOn   []string `yaml:"depends_on"`
		Healthcheck struct{ Test []string }
		User        string
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Ulimits     map[string]int
		StopGrace   string `yaml:"stop_grace_period"`
	}
	Secrets map[string]struct{ File string }
	Volumes map[string]any
}

// composeFaults says what is wrong with a compose file.
func composeFaults(file string) (faults []string) {
	var c composed
	if err := yaml.Unmarshal([]byte(file), &c); err != nil {
		return []string{err.Error()}
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if len(c.Services) == 0 {
		fault("no services")
	}
	if regexp.MustCompile(`(?m)^[^#]*:latest`).MatchString(file) {
		fault("an image is called latest")
	}
	asked := map[string]bool{} // variables that stop the start when they are not set
	for _, v := range regexp.MustCompile(`\$\{([A-Z_]+):([?-])`).FindAllStringSubmatch(file, -1) {
		asked[v[1]] = true
	}
	for _, v := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(file, -1) {
		if !asked[v[1]] {
			fault("${%s} may be empty", v[1])
		}
	}
	volumes, secrets, published := map[string]bool{}, map[string]bool{}, map[string]string{}
	for name, s := range c.Services {
		if !regexp.MustCompile(`^\$\{[A-Z_]+_IMAGE:\?[^}]+\}$`).MatchString(s.Image) {
			fault("%s: the image %q is not the operator's to name", name, s.Image)
		}
		for _, p := range s.Ports {
			address, target, _ := cutLast(p, ":")
			if other, taken := published[address]; taken {
				fault("%s: %s is published by %s too", name, address, other)
			}
			published[address] = name
			if !strings.HasPrefix(address, "127.0.0.1:") {
				fault("%s: port %s is open to everybody", name, p)
			}
			if target == "" {
				fault("%s: port %s leads nowhere", name, p)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, defined := c.Volumes[source]; !defined && !strings.HasPrefix(source, ".") {
				fault("%s: no volume %s", name, source)
			}
			volumes[source] = true
		}
		for _, n := range s.Secrets {
			if _, defined := c.Secrets[n]; !defined {
				fault("%s: no secret %s", name, n)
			}
			secrets[n] = true
		}
		for _, path := range regexp.MustCompile(`/run/secrets/([a-z0-9-]+)`).FindAllStringSubmatch(fmt.Sprint(s.Environment), -1) {
			if !slices.Contains(s.Secrets, path[1]) {
				fault("%s: reads the secret %s, which it is not given", name, path[1])
			}
		}
		for _, other := range s.DependsOn {
			if _, there := c.Services[other]; !there {
				fault("%s: depends on %s, which is not there", name, other)
			}
		}
		for _, seed := range regexp.MustCompile(`GOSSIP_SEED=([^\s\]]+)`).FindAllStringSubmatch(fmt.Sprint(s.Environment), -1) {
			for _, other := range strings.Split(seed[1], ",") {
				if host, _, _ := strings.Cut(other, ":"); c.Services[host].Image == "" || host == name {
					fault("%s: gossips with %s", name, other)
				}
			}
		}
		switch {
		case strings.HasPrefix(s.Image, "${GRIDCASE_IMAGE"):
			if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
				fault("%s: may do more than it must", name)
			}
			if limit, set := s.Ulimits["core"]; !set || limit != 0 {
				fault("%s: may dump core", name)
			}
			if s.StopGrace != "20s" {
				fault("%s: is given %q to stop, and takes up to 10 s", name, s.StopGrace)
			}
			if !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/gridcase", "healthcheck"}) {
				fault("%s: nobody asks how it is", name)
			}
		case strings.HasPrefix(s.Image, "${KURRENTDB_IMAGE"):
			if !strings.Contains(strings.Join(s.Healthcheck.Test, " "), "/health/live") {
				fault("%s: nobody asks how it is", name)
			}
			for _, setting := range []string{"_CERTIFICATE_FILE=", "_CERTIFICATE_PRIVATE_KEY_FILE=", "_TRUSTED_ROOT_CERTIFICATES_PATH=", "_RUN_PROJECTIONS=None", "_ADVERTISE_AS=" + name} {
				if !strings.Contains(fmt.Sprint(s.Environment), setting) {
					fault("%s: lacks the setting …%s", name, setting)
				}
			}
		}
	}
	for v := range c.Volumes {
		if !volumes[v] {
			fault("the volume %s is nobody's", v)
		}
	}
	for n, s := range c.Secrets {
		if !secrets[n] || s.File == "" {
			fault("the secret %s is nobody's", n)
		}
	}
	slices.Sort(faults)
	return faults
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func TestComposeFilesHangTogether(t *testing.T) {
	for _, path := range []string{"compose/single.yml", "compose/cluster.yml"} {
		for _, f := range composeFaults(text(t, path)) {
			t.Errorf("%s: %s", path, f)
		}
	}
	good := text(t, "compose/cluster.yml")
	for from, to := range map[string]string{
		"${PROMETHEUS_IMAGE:?image and tag}":                                          "prom/prometheus:latest",
		"${GRAFANA_IMAGE:?image and tag}":                                             "grafana/grafana:11.0.0",
		`ports: ["127.0.0.1:8082:8080"]`:                                              `ports: ["127.0.0.1:8081:8080"]`,
		`ports: ["127.0.0.1:9090:9090"]`:                                              `ports: ["9090:9090"]`,
		"  data-2:\n":                                                                 "",
		"  grafana: {file: ./secrets/grafana}\n":                                      "",
		"secrets: [log-2-crt, log-2-key]":                                             "secrets: [log-2-crt, log-1-key]",
		"GOSSIP_SEED=log-2:2113,log-3:2113":                                           "GOSSIP_SEED=log-2:2113,log-4:2113",
		"depends_on: [log-1, log-2, log-3]":                                           "depends_on: [log-0]",
		"  read_only: true\n":                                                         "",
		"  ulimits: {core: 0}\n  stop_grace_period: 20s\n":                            "  stop_grace_period: 20s\n",
		"stop_grace_period: 20s":                                                      "stop_grace_period: 5s",
		"test: [CMD, /gridcase, healthcheck]":                                         "test: [NONE]",
		"${KURRENTDB_DATA:?/var/lib/kurrentdb from 25.0, /var/lib/eventstore before}": "${KURRENTDB_DATA}",
		"      - ${KURRENTDB_PREFIX}_CERTIFICATE_FILE=/run/secrets/log-3-crt\n":       "",
	} {
		bad := strings.Replace(good, from, to, 1)
		if bad == good {
			t.Errorf("the file has no %q to spoil", from)
		} else if len(composeFaults(bad)) == 0 {
			t.Errorf("%q instead of %q is not noticed", to, from)
		}
	}
}

// What Prometheus scrapes are nodes of the cluster, at the port they listen on; and Grafana asks this Prometheus.
func TestPrometheusScrapesTheNodesOfTheCluster(t *testing.T) {
	var c composed
	if err := yaml.Unmarshal([]byte(text(t, "compose/cluster.yml")), &c); err != nil {
		t.Fatal(err)
	}
	var p struct {
		Scrapes []struct {
			Job     string                       `yaml:"job_name"`
			Statics []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(text(t, "prometheus/prometheus.yml")), &p); err != nil {
		t.Fatal(err)
	}
	var scraped, nodes []string
	for _, s := range p.Scrapes {
		for _, st := range s.Statics {
			scraped = append(scraped, st.Targets...)
		}
	}
	for name, s := range c.Services {
		if environment, _ := s.Environment.(map[string]any); environment["GRIDCASE_LISTEN"] != nil {
			nodes = append(nodes, name+strings.TrimPrefix(fmt.Sprint(environment["GRIDCASE_LISTEN"]), "0.0.0.0"))
		}
	}
	slices.Sort(scraped)
	slices.Sort(nodes)
	if len(nodes) != 2 || !slices.Equal(scraped, nodes) || p.Scrapes[0].Job != "gridcase" {
		t.Errorf("scraped are %v, the nodes are %v", scraped, nodes)
	}
	if _, there := c.Services["prometheus"]; !there || !strings.Contains(text(t, "grafana/provisioning/datasources/gridcase.yml"), "url: http://prometheus:9090") {
		t.Errorf("Grafana asks somebody who is not there: %v", slices.Collect(maps.Keys(c.Services)))
	}
}
