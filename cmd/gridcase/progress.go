package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far long work has come: a bar on a terminal, elsewhere a line every five seconds.
type progress struct {
	bar   *progressbar.ProgressBar
	to    io.Writer
	what  string
	total int64
	done  int64
	said  time.Time
	began time.Time
}

func newProgress(to io.Writer, what string, total int64) *progress {
	p := &progress{to: to, what: what, total: total, said: time.Now(), began: time.Now()}
	if f, ok := to.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(to),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond))
	}
	return p
}

// at says that done of total is done.
func (p *progress) at(done int64) {
	p.done = done
	if p.bar != nil {
		_ = p.bar.Set64(done)
		return
	}
	if time.Since(p.said) >= 5*time.Second {
		p.said = time.Now()
		p.line()
	}
}

func (p *progress) line() {
	rate := float64(p.done) / max(time.Since(p.began).Seconds(), 0.001)
	if p.total > 0 {
		fmt.Fprintf(p.to, "%s: %d of %d (%.0f/s)\n", p.what, p.done, p.total, rate)
	} else {
		fmt.Fprintf(p.to, "%s: %d (%.0f/s)\n", p.what, p.done, rate)
	}
}

// end closes the bar, or prints the last line.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
		fmt.Fprintln(p.to)
		return
	}
	p.line()
}
