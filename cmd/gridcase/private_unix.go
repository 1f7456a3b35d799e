//go:build unix

package main

import "syscall"

// private lets nobody but the owner read the files that the program makes.
func private() { syscall.Umask(0o077) }
