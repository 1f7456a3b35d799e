package main

import (
	"os"
	"syscall"
)

// datasync waits until the file's bytes are on disk.
func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
