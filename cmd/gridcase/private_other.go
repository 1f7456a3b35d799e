//go:build !unix

package main

// private does nothing here: the folder's own permissions decide.
func private() {}
