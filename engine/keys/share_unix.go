//go:build unix

package keys

import (
	"errors"
	"os"
	"syscall"
)

// share holds a lock file together with whoever else does, and waits for one who has it alone. The kernel releases it when
// the process dies.
func share(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_SH) }

// alone takes the lock file from a shared hold to a hold of our own; false if somebody else holds it.
func alone(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		// The hold we had may be gone with the attempt.
		return false, share(f)
	}
	return err == nil, err
}
