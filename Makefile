# Two commands do the main things on a machine with only Go: make run, make test.
export GOFLAGS := -tags=nomsgpack
export CGO_ENABLED ?= 0
export TZ := UTC
SHELL := /bin/bash

.PHONY: run test bench lint build

run: ## the synthetic demo city: seeds a folder, serves it, prints where and with which log-ins
	@echo "first build takes one to two minutes"
	go run ./cmd/gridcase demo $(ARGS)

test: ## everything that must hold; ends with a table of what ran and what could not
	go run ./cmd/check

bench: ## ratios against the limits of this machine, measured in one run
	go run ./cmd/gridcase bench $(ARGS)

lint: ## formatting, vet and staticcheck
	go run ./cmd/check -only format,vet,staticcheck

build: ## one static binary
	go build -trimpath -ldflags "-s -w" -o bin/gridcase ./cmd/gridcase
