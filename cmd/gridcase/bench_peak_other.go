//go:build !linux

package main

import (
	"fmt"
	"runtime"
	"time"
)

// peak returns the memory that the runtime asked of the system so far.
func peak() string {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("%d MiB", m.Sys>>20)
}

var started = time.Now()

// processor returns the time that went by: more than the program used of the processors it had, unless it had several.
func processor() time.Duration { return time.Since(started) }
