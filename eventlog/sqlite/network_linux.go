package sqlite

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// networkFileSystems are the file systems that acknowledge locks and syncs which they may not keep, by their number
// in linux/magic.h and in the sources of those not listed there. 9P is not among them: it shares a folder of
// the same machine with a virtual one.
var networkFileSystems = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
}

// fuseMagic is the number of everything that is mounted through FUSE, local or not.
const fuseMagic = 0x65735546

// networkFUSE are the FUSE types in the mount table that keep their files elsewhere.
var networkFUSE = []string{
	"fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys", "fuse.juicefs",
	"fuse.JuiceFS", "fuse.davfs", "fuse.davfs2", "fuse.curlftpfs", "fuse.smbnetfs", "fuse.gvfsd-fuse", "fuse.seaweedfs", "fuse.moosefs", "fuse.mfs",
}

// refuseNetwork returns an error if dir lies on a network file system.
func refuseNetwork(dir string) error {
	var fs syscall.Statfs_t
	var file syscall.Stat_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if err := syscall.Stat(dir, &file); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	name, known := networkFileSystems[uint32(fs.Type)]
	if uint32(fs.Type) == fuseMagic {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return fmt.Errorf("look for %s in the mount table: %w", dir, err)
		}
		name, known = fuseNetwork(string(table), file.Dev)
	}
	if known {
		return fmt.Errorf("%s lies on %s: network file systems acknowledge locks and syncs they do not keep; use a local disk", dir, name)
	}
	return nil
}

// fuseNetwork returns the type that the mount table (proc(5), mountinfo) gives for a device, and whether it is one of networkFUSE.
func fuseNetwork(table string, dev uint64) (string, bool) {
	major := dev>>8&0xfff | dev>>32&^0xfff
	minor := dev&0xff | dev>>12&^0xff&0xffffffff
	want := fmt.Sprintf("%d:%d", major, minor)
	for line := range strings.Lines(table) {
		mount, rest, ok := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if !ok || len(fields) < 3 || fields[2] != want {
			continue
		}
		typ, _, _ := strings.Cut(rest, " ")
		for _, known := range networkFUSE {
			if typ == known {
				return typ, true
			}
		}
	}
	return "", false
}
