package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// tool is a program that is not ours, and the Debian package that has it.
type tool struct{ name, debian string }

// proof is what one tool shows of deployments/: a test that is built with the tag "deploy".
type proof struct {
	step, test string
	tool       tool
}

// proofs are all of them.
var proofs = []proof{
	{"prometheus: rules and their tests", "TestPrometheusTakesTheRulesAndTheirTests", tool{"promtool", "prometheus"}},
	{"systemd: unit", "TestSystemdTakesTheUnit", tool{"systemd-analyze", "systemd"}},
	{"container: image", "TestBuildahMakesAnImageThatServes", tool{"buildah", "buildah"}},
	{"compose: both files", "TestComposeTakesBothFiles", tool{"docker-compose", "docker-compose"}},
	{"compose: certificates", "TestTheLogsNodesGetCertificates", tool{"openssl", "openssl"}},
	{"kubernetes: manifests", "TestKustomizeRendersTheManifests", tool{"kubectl", "kubernetes-client"}},
	{"nginx: through it to a node", "TestNginxPassesOnWhatTheNodeNeeds|TestASpoiltProxyIsNoticed", tool{"nginx", "nginx-light"}},
}

// What deploySteps build once, beside the program in bin/gridcase.
const testsOfDeployments = "bin/deployments.test"

// deploySteps hold deployments/ against the tools that will read it. The first installs what is missing, if it may.
func deploySteps() []step {
	steps := []step{
		{"tools", tools, false},
		{"build", func() (string, error) {
			return "", errors.Join(command(nil, "make", "build"),
				command(nil, "go", "vet", "-tags=nomsgpack,deploy", "./deployments"),
				command(nil, "go", "test", "-c", "-tags=nomsgpack,deploy", "-o", testsOfDeployments, "./deployments"))
		}, false},
	}
	for _, p := range proofs {
		steps = append(steps, step{p.step, func() (string, error) {
			if !here(p.tool) {
				return fmt.Sprintf("no %s (Debian: %s)", p.tool.name, p.tool.debian), nil
			}
			return "", proven(p.test)
		}, false})
	}
	return steps
}

// proven runs tests of deployments/ on the program that was built.
func proven(tests string) error {
	room, err := filepath.Abs("deployments")
	if err != nil {
		return err
	}
	c := exec.Command(filepath.Join("..", testsOfDeployments), "-test.v", "-test.timeout=5m", "-test.run=^("+tests+")$")
	c.Dir, c.Stdout, c.Stderr = room, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), "DEPLOYMENTS_PROGRAM="+filepath.Join(filepath.Dir(room), "bin", "gridcase"))
	return c.Run()
}

func here(t tool) bool {
	_, err := exec.LookPath(t.name)
	return err == nil
}

// tools installs the tools that are missing, where root may do so on a Debian. Anybody else is told what to type.
func tools() (missing string, err error) {
	var packages []string
	for _, p := range proofs {
		if !here(p.tool) && !slices.Contains(packages, p.tool.debian) {
			packages = append(packages, p.tool.debian)
		}
	}
	if len(packages) == 0 {
		return "", nil
	}
	install := append([]string{"apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=120"}, packages...)
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return "install as root, on Debian: apt-get install --no-install-recommends " + strings.Join(packages, " "), nil
	}
	quiet, err := undisturbed()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, quiet()) }()
	for _, args := range [][]string{{"apt-get", "update", "-q", "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=120", "-o", "APT::Update::Error-Mode=any"}, install} {
		c := exec.Command(args[0], args[1:]...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
		out, err := c.CombinedOutput()
		if err != nil {
			os.Stdout.Write(out)
			return "", fmt.Errorf("apt-get %s: %w: %s", args[1], err, complaint(string(out)))
		}
	}
	fmt.Println("installed", strings.Join(packages, " "))
	return "", nil
}

// complaint is what apt gave as the cause, which stands somewhere in much that is none.
func complaint(out string) string {
	var said []string
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "E: ") || strings.HasPrefix(line, "Err:") {
			said = append(said, strings.TrimSpace(line))
		}
	}
	if len(said) == 0 {
		return "it does not say why"
	}
	return strings.Join(said[:min(3, len(said))], "; ")
}

// noServices is where Debian asks whether a package may start the service that it brings.
const noServices = "/usr/sbin/policy-rc.d"

// undisturbed keeps packages from starting services on this machine, until it is undone. Where somebody has decided that
// already, it stays as it is.
func undisturbed() (undo func() error, err error) {
	f, err := os.OpenFile(noServices, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() error { return os.Remove(noServices) }, errors.Join(err, f.Close())
}
