//go:build !linux

package main

import (
	"fmt"
	"runtime"
)

// peak returns the memory that the runtime asked of the system so far.
func peak() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("%d MiB", m.Sys>>20)
}
