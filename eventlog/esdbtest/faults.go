package esdbtest

import "sync"

// Faults are what a cluster does wrong, besides what [Node.Stop], [Cluster.Lead], [Cluster.Delete], [Cluster.Redact] and a small
// [Options.MaxAppendSize] bring about. Each count is of the next so many events or appends; Left says how many have not happened,
// so that a test can tell that its fault did.
type Faults struct {
	mu         sync.Mutex
	unanswered int
	silent     int
	refused    int
	dropped    int
	lying      int
	slow       int
	twice      bool
	hidden     func(stream string, revision int) bool
}

func (f *Faults) set(count *int, n int) { f.mu.Lock(); defer f.mu.Unlock(); *count = n }

// take reports whether a fault is due, and counts it.
func (f *Faults) take(count *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *count == 0 {
		return false
	}
	*count--
	return true
}

// LoseAnswers commits the next n appends and answers that the connection was lost: the outcome is unknown, and it happened.
func (f *Faults) LoseAnswers(n int) { f.set(&f.unanswered, n) }

// Silence commits the next n appends and does not answer them.
func (f *Faults) Silence(n int) { f.set(&f.silent, n) }

// Refuse does not commit the next n appends and answers as after the server's own timeout: the outcome is unknown, and it did
// not happen.
func (f *Faults) Refuse(n int) { f.set(&f.refused, n) }

// Drop neither commits nor answers the next n appends. The server does so with a repeat of what is not yet replicated.
func (f *Faults) Drop(n int) { f.set(&f.dropped, n) }

// LieAhead ends the subscription before each of the next n events, with a checkpoint at the position of that event: whoever
// resumes from the checkpoint never sees it. There are server versions that do this.
func (f *Faults) LieAhead(n int) { f.set(&f.lying, n) }

// DropSlow ends the subscription after each of the next n events, as for a consumer that is too slow.
func (f *Faults) DropSlow(n int) { f.set(&f.slow, n) }

// Duplicate has every event sent twice to subscribers.
func (f *Faults) Duplicate(on bool) { f.mu.Lock(); defer f.mu.Unlock(); f.twice = on }

// Hide keeps events from subscribers for which hidden is true; reads of their stream show them. nil hides nothing.
func (f *Faults) Hide(hidden func(stream string, revision int) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hidden = hidden
}

// Left returns how many of the counted faults have not happened yet.
func (f *Faults) Left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unanswered + f.silent + f.refused + f.dropped + f.lying + f.slow
}

func (f *Faults) hides(r *record) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hidden != nil && f.hidden(r.stream, int(r.revision))
}

func (f *Faults) copies() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.twice {
		return 1
	}
	return 0
}
