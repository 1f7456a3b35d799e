package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
)

// File writes messages to a file, one line each, readable by the owner alone. A message is taken when its line is on disk;
// what comes while the disk is busy shares the next fsync. It implements [message.Publisher].
type File struct {
	mu      sync.Mutex
	f       *os.File
	size    int64 // of whole lines
	buf     bytes.Buffer
	waiting []chan error
	writing bool
	broken  error
	idle    *sync.Cond
}

// OpenFile opens the file, or makes it. A last line that is not whole was never acknowledged, and is cut off.
func OpenFile(path string) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("relay file: %w", err)
	}
	size, err := whole(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("relay file: %w", err), f.Close())
	}
	file := &File{f: f, size: size}
	file.idle = sync.NewCond(&file.mu)
	return file, nil
}

// whole returns the length of the file up to its last line feed.
func whole(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	buf := make([]byte, 4096)
	for err == nil && end > 0 {
		from := max(0, end-int64(len(buf)))
		part := buf[:end-from]
		if _, err = f.ReadAt(part, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Publish implements [message.Publisher].
func (f *File) Publish(_ string, ms ...*message.Message) error {
	f.mu.Lock()
	if f.broken != nil {
		f.mu.Unlock()
		return f.broken
	}
	for _, m := range ms {
		f.buf.Write(m.Payload) // our JSON holds no line feed
		f.buf.WriteByte('\n')
	}
	taken := make(chan error, 1)
	f.waiting = append(f.waiting, taken)
	if !f.writing {
		f.writing = true
		go f.write()
	}
	f.mu.Unlock()
	return <-taken
}

func (f *File) write() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) > 0 {
		lines, waiting := bytes.Clone(f.buf.Bytes()), f.waiting
		f.buf.Reset()
		f.waiting = nil
		f.mu.Unlock()
		_, err := f.f.Write(lines)
		unsynced := false
		if err == nil {
			err = f.f.Sync()
			unsynced = err != nil
		}
		f.mu.Lock()
		switch {
		case err == nil:
			f.size += int64(len(lines))
		case unsynced: // what is on disk can not be told any more; an fsync that is tried again says nothing about it
			f.broken = fmt.Errorf("relay file: it must be opened anew: %w", err)
			err = f.broken
		default: // half a line must not stand before the next
			if cut := errors.Join(f.f.Truncate(f.size), seek(f.f, f.size)); cut != nil {
				f.broken = fmt.Errorf("relay file: it must be opened anew: %w", cut)
			}
		}
		for _, w := range waiting {
			w <- err
		}
	}
	f.writing = false
	f.idle.Broadcast()
}

func seek(f *os.File, to int64) error {
	_, err := f.Seek(to, io.SeekStart)
	return err
}

// Close implements [message.Publisher].
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.writing {
		f.idle.Wait()
	}
	if f.broken == nil {
		f.broken = os.ErrClosed
	}
	return f.f.Close()
}
