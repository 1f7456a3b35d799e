# Two commands do the main things on a machine with only Go: make run, make test.
comma := ,
export GOFLAGS := -tags=nomsgpack$(addprefix $(comma),$(TAGS))
export CGO_ENABLED ?= 0
export TZ := UTC
SHELL := /bin/bash

.PHONY: run test test-deploy bench lint build image

run: ## the synthetic demo city: seeds a folder, serves it, prints where and with which log-ins
	@echo "first build takes one to two minutes"
	go run ./cmd/gridcase demo $(ARGS)

test: ## everything that must hold; ends with a table of what ran and what could not
	go run ./cmd/check

test-deploy: ## deployments/ held against the tools that will read it; installs them where it may
	go run ./cmd/check -deploy

bench: ## ratios against the limits of this machine, measured in one run
	go run ./cmd/gridcase bench $(ARGS)

lint: ## formatting, vet and staticcheck
	go run ./cmd/check -only format,vet,staticcheck

build: ## one static binary; TAGS=kafka for one that knows Kafka too
	go build -trimpath -ldflags "-s -w" -o bin/gridcase ./cmd/gridcase

IMAGE ?= gridcase:0.1.0
BUILDER ?= docker build
CERTIFICATES ?= /etc/ssl/certs/ca-certificates.crt
image: build ## a container image; BUILDER="podman build" or "buildah bud" where there is no Docker
	rm -rf bin/image
	install -d -m 0700 bin/image/data bin/image/data/keys
	install -d -m 1777 bin/image/tmp
	install -m 0555 bin/gridcase bin/image/gridcase
	install -m 0444 $(CERTIFICATES) bin/image/ca-certificates.crt
	$(BUILDER) -f deployments/container/Containerfile -t $(IMAGE) bin/image
