package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// raw is the limit: one file, all that waits is appended with one write and one fdatasync. It keeps no streams,
// no order to answer, no checksums, no index.
type raw struct {
	file    *os.File
	mu      sync.Mutex
	waiting []chan error
	bytes   []byte
	arrived chan struct{}
	ended   chan struct{}
}

func openRaw(b *testing.B) *raw {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	r := &raw{file: f, arrived: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		var group []chan error
		var bytes []byte
		for range r.arrived {
			r.mu.Lock()
			group, r.waiting = r.waiting, group[:0]
			bytes, r.bytes = r.bytes, bytes[:0]
			r.mu.Unlock()
			_, err := f.Write(bytes)
			if err == nil {
				err = syscall.Fdatasync(int(f.Fd()))
			}
			for _, done := range group {
				done <- err
			}
		}
	}()
	b.Cleanup(func() {
		close(r.arrived)
		<-r.ended
		f.Close()
	})
	return r
}

func (r *raw) append() error {
	done := make(chan error, 1)
	r.mu.Lock()
	r.waiting = append(r.waiting, done)
	r.bytes = append(append(r.bytes, benchData...), benchMeta...)
	r.mu.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
	return <-done
}

// rate runs writers for a while and returns their appends per second and the 99th percentile of their waits.
func rate(b *testing.B, writers int, d time.Duration, next func() appender) (perSecond float64, p99 time.Duration) {
	var total atomic.Int64
	var wg sync.WaitGroup
	waits := make([][]time.Duration, writers)
	began := time.Now()
	for w := range writers {
		one := next()
		wg.Go(func() {
			for time.Since(began) < d {
				start := time.Now()
				if err := one(); err != nil {
					b.Error(err)
					return
				}
				waits[w] = append(waits[w], time.Since(start))
				total.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	all := slices.Concat(waits...)
	slices.Sort(all)
	return float64(total.Load()) / took.Seconds(), all[len(all)*99/100]
}

// BenchmarkShareOfDisk prints the log's appends per second, those of the raw file, and their ratio: medians of five
// repeats that take turns, because the disk drifts by more than the difference that matters. Run it with -benchtime=1x.
func BenchmarkShareOfDisk(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			const repeats, each = 5, time.Second
			var ours, limit, ratio, p99 []float64
			for b.Loop() {
				l := open(b, filepath.Join(b.TempDir(), "log.db"))
				r := openRaw(b)
				for range repeats {
					raw, _ := rate(b, writers, each, func() appender { return r.append })
					log, wait := rate(b, writers, each, func() appender { return cases(l) })
					ours, limit = append(ours, log), append(limit, raw)
					ratio, p99 = append(ratio, log/raw), append(p99, float64(wait.Microseconds())/1e3)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(ours), "appends/s")
			b.ReportMetric(median(limit), "raw/s")
			b.ReportMetric(median(p99), "p99-ms")
			b.ReportMetric(slices.Min(ratio), "share-min")
			b.ReportMetric(median(ratio), "share")
			b.ReportMetric(slices.Max(ratio), "share-max")
		})
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
