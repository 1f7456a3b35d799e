package keys

import (
	"os"

	"golang.org/x/sys/windows"
)

// share holds a lock file together with whoever else does, and waits for one who has it alone. The system releases it when
// the process dies.
func share(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), 0, 0, 1, 0, new(windows.Overlapped))
}

// alone takes the lock file from a shared hold to a hold of our own; false if somebody else holds it.
func alone(f *os.File) (bool, error) {
	if err := windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, new(windows.Overlapped)); err != nil {
		return false, err
	}
	const exclusive = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if windows.LockFileEx(windows.Handle(f.Fd()), exclusive, 0, 1, 0, new(windows.Overlapped)) == nil {
		return true, nil
	}
	return false, share(f)
}
