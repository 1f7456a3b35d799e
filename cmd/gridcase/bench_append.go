package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/sqlite"
)

// raw is the limit: one file, one goroutine that writes whatever waits with one write and one fdatasync. It keeps
// no order per stream, checks nothing and answers no repeat.
type raw struct {
	f     *os.File
	queue chan rawWrite
	done  chan struct{}
}

type rawWrite struct {
	bytes    []byte
	answered chan error
}

func openRaw(path string) (*raw, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &raw{f: f, queue: make(chan rawWrite, 1024), done: make(chan struct{})}
	go r.run()
	return r, nil
}

func (r *raw) run() {
	defer close(r.done)
	var buf []byte
	var waiting []chan error
	for first := range r.queue {
		buf, waiting = append(buf[:0], first.bytes...), append(waiting[:0], first.answered)
	gather:
		for {
			select {
			case w, open := <-r.queue:
				if !open {
					break gather
				}
				buf, waiting = append(buf, w.bytes...), append(waiting, w.answered)
			default:
				break gather
			}
		}
		_, err := r.f.Write(buf)
		if err == nil {
			err = datasync(r.f)
		}
		for _, a := range waiting {
			a <- err
		}
	}
}

func (r *raw) append(b []byte, answered chan error) error {
	r.queue <- rawWrite{b, answered}
	return <-answered
}

func (r *raw) close() {
	close(r.queue)
	<-r.done
	r.f.Close()
}

// about500 is an event of the size that the goals are stated for.
func about500() eventlog.Fact {
	return eventlog.Fact{Type: "demand-raised/1",
		Data: fmt.Appendf(nil, `{"text":"%0290d"}`, 7),
		Meta: fmt.Appendf(nil, `{"salt":"AAECAwQFBgcICQoLDA0ODw==","actor":"u-1","note":"%0100d"}`, 7)}
}

// writers runs n writers for a while, each with its own append, and returns appends per second.
func writers(n int, d time.Duration, writer func() func() error) (float64, error) {
	var total atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		one := writer()
		wg.Go(func() {
			for time.Since(began) < d {
				if err := one(); err != nil {
					failed.Store(&err)
					return
				}
				total.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(total.Load()) / time.Since(began).Seconds(), nil
}

// benchAppend measures our log against the limit, interleaved, and counts afterwards that everything acknowledged is there.
func benchAppend(ctx context.Context, dir string, d time.Duration, repeats int, t *table) error {
	for _, n := range []int{1, 16, 64, 256} {
		var limit, ours []float64
		for i := range repeats {
			r, err := openRaw(filepath.Join(dir, fmt.Sprintf("raw-%d-%d", n, i)))
			if err != nil {
				return err
			}
			f := about500()
			bytes := append(append([]byte(nil), f.Data...), f.Meta...)
			v, err := writers(n, d, func() func() error {
				answered := make(chan error, 1)
				return func() error { return r.append(bytes, answered) }
			})
			r.close()
			if err != nil {
				return err
			}
			limit = append(limit, v)
			log, err := sqlite.Open(ctx, filepath.Join(dir, fmt.Sprintf("log-%d-%d.db", n, i)))
			if err != nil {
				return err
			}
			var acknowledged atomic.Int64
			v, err = writers(n, d, func() func() error {
				stream, head := "", eventlog.Revision(11)
				return func() error {
					if head == 11 { // a case has about twelve events
						stream, head = "gridcase.demand-"+uuid.NewString(), eventlog.None
					}
					fact := f
					fact.ID = uuid.New()
					c, err := log.Append(ctx, stream, head, fact)
					if err == nil {
						acknowledged.Add(1)
					}
					head = c.Revision
					return err
				}
			})
			if err == nil {
				err = countBack(ctx, log, acknowledged.Load())
			}
			if closed := log.Close(); err == nil {
				err = closed
			}
			if err != nil {
				return err
			}
			ours = append(ours, v)
		}
		goal := map[int]string{64: "≥ 0.60", 256: "≥ 0.30"}[n]
		t.ratio(fmt.Sprintf("durable append, %d writers", n), "raw append + fdatasync, group commit", ours, limit, "events/s", goal)
	}
	return nil
}

// countBack reads the log from its beginning: what was acknowledged is there, and nothing else.
func countBack(ctx context.Context, log eventlog.Log, want int64) error {
	var n int64
	for batch, err := range log.Follow(ctx, 0) {
		if err != nil {
			return err
		}
		if n += int64(len(batch.Events)); batch.Live {
			break
		}
	}
	if n != want {
		return fmt.Errorf("acknowledged %d appends, the log holds %d", want, n)
	}
	return nil
}
