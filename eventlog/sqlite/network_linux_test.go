package sqlite

import (
	"strings"
	"testing"
)

func TestNetworkFileSystemsAreKnown(t *testing.T) {
	const table = `22 29 0:21 / /proc rw,nosuid shared:5 - proc proc rw
88 29 0:53 / /mnt/far rw,nosuid shared:46 - fuse.sshfs clerk@host:/ rw,user_id=0
89 29 0:54 / /mnt/near rw,relatime - fuse.ext2 /dev/loop0 rw
90 29 259:300 / /mnt/odd\040name rw - fuse.rclone remote: rw
`
	for _, c := range []struct {
		dev  uint64
		want string
	}{
		{0x35, "fuse.sshfs"}, {0x36, ""}, {0x15, ""}, {0x99, ""},
		{0x11032c, "fuse.rclone"}, // 259 is 0x103; 300 is 0x12c, whose upper part stands above the major number
		{0x01032c, ""},
	} {
		got, known := fuseNetwork(table, c.dev)
		if got != c.want || known != (c.want != "") {
			t.Errorf("device %#x: got %q, %v, want %q", c.dev, got, known, c.want)
		}
	}
	if err := refuseNetwork(t.TempDir()); err != nil {
		t.Errorf("a local folder: %v", err)
	}
	if err := refuseNetwork("/nowhere/at/all"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("a folder that is not there: got %v, want an error that names it", err)
	}
}
