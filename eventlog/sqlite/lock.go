package sqlite

import "io"

// Lock takes a lock file for this process, as Open does beside its log: for a folder that has no log but must not be used
// twice either. The system lets it go when the process dies; the file stays.
func Lock(path string) (io.Closer, error) {
	f, err := acquire(path)
	if err != nil {
		return nil, err
	}
	return f, nil
}
