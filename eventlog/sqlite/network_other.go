//go:build !linux

package sqlite

import (
	"fmt"
	"os"
)

// refuseNetwork cannot tell file systems apart on this system; it only checks that the folder is there. Keeping
// the log on a local disk is then the operator's duty.
func refuseNetwork(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	return nil
}
