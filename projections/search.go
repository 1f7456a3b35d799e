package projections

import (
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"

	"gridcase/domain/demand"
	"gridcase/domain/stream"
)

// ErrKeysAway says that nothing can be opened now, and that it is worth asking again.
var ErrKeysAway = errors.New("the keys do not answer")

// Opener opens a sealed field of an event. An erased text is "" without an error. It returns [ErrKeysAway].
type Opener interface {
	Open(stream stream.Name, event stream.ID, typ, field, cipher string) (string, error)
}

// Identity makes a blind index of an exact value ("phone", "id_number" or "account"): a keyed hash, equal for equal values, "" for values that
// name nobody.
type Identity interface {
	Blind(kind, value string) string
}

// Search finds demands by their text and by who reported them. It is in memory only, made from the views at each start in the background and
// kept current after each batch; nothing of it is ever written.
//
// It keeps pairs of neighbouring characters and which demands hold them, in the way of Chinese words, and no text. What
// the pairs suggest is verified against the text itself, opened anew from its ciphertext. The summary is
// for everyone; title and text are for callers who may search personal text.
//
// Memory per demand: about 90 bytes, 110 for each way to reach the reporter, and 1 to 3 bytes for each character of
// summary, title and text: 300 to 500 bytes with a summary of 20 and a text of 80 characters (see BenchmarkSearch).
type Search struct {
	runner *Runner
	done   chan struct{}

	mu       sync.RWMutex
	docs     []doc
	numbers  map[stream.ID]uint32
	public   pairs
	personal pairs
	blinds   map[blind][]uint32
	ready    bool
	unopened int
	err      error

	queue sync.Mutex
	dirty map[stream.ID]struct{}
	asked uint64        // how often something became dirty
	took  uint64        // of that, what has been taken in
	moved chan struct{} // closed when took moves on, or the search becomes ready
	wake  chan struct{}
}

// doc is what one number stands for. A demand whose text changes gets another number; the old one stands for nothing.
type doc struct {
	id     stream.ID
	raised int64 // ms
	blinds []blind
}

type blind [16]byte

// pairs maps two neighbouring characters, or the last one and 0, to the numbers that hold them, ascending.
type pairs struct {
	postings map[pair]*posting
	first    map[rune][]pair // by first character, for words of one
}

type pair uint64

func pairOf(a, b rune) pair { return pair(a)<<32 | pair(b) }

// posting is a list of ascending numbers as the differences between them, each a varint.
type posting struct {
	last  uint32
	count int
	bytes []byte
}

func (p *posting) add(n uint32) {
	if p.count > 0 && n == p.last {
		return
	}
	p.bytes = binary.AppendUvarint(p.bytes, uint64(n-p.last))
	p.last, p.count = n, p.count+1
}

func (p *posting) all() []uint32 {
	ns := make([]uint32, 0, p.count)
	n := uint32(0)
	for b := p.bytes; len(b) > 0; {
		d, size := binary.Uvarint(b)
		n, b = n+uint32(d), b[size:]
		ns = append(ns, n)
	}
	return ns
}

func newSearch(r *Runner) *Search {
	empty := func() pairs { return pairs{postings: map[pair]*posting{}, first: map[rune][]pair{}} }
	return &Search{runner: r, done: make(chan struct{}), numbers: map[stream.ID]uint32{}, public: empty(), personal: empty(),
		blinds: map[blind][]uint32{}, dirty: map[stream.ID]struct{}{}, wake: make(chan struct{}, 1), moved: make(chan struct{})}
}

func (x *pairs) add(n uint32, text string) {
	var before rune
	for _, c := range text {
		if before != 0 {
			x.put(n, pairOf(before, c))
		}
		before = c
	}
	if before != 0 {
		x.put(n, pairOf(before, 0))
	}
}

func (x *pairs) put(n uint32, p pair) {
	list, here := x.postings[p]
	if !here {
		list = &posting{}
		x.postings[p] = list
		first := rune(p >> 32)
		x.first[first] = append(x.first[first], p)
	}
	list.add(n)
}

// holding returns the numbers that hold all pairs of a word, ascending; more than hold the word itself.
func (x *pairs) holding(word []rune) []uint32 {
	if len(word) == 1 {
		var ns []uint32
		for _, p := range x.first[word[0]] {
			ns = append(ns, x.postings[p].all()...)
		}
		slices.Sort(ns)
		return slices.Compact(ns)
	}
	var lists []*posting
	for i := range word[1:] {
		list, here := x.postings[pairOf(word[i], word[i+1])]
		if !here {
			return nil
		}
		lists = append(lists, list)
	}
	slices.SortFunc(lists, func(a, b *posting) int { return cmp.Compare(a.count, b.count) })
	ns := lists[0].all()
	for _, list := range lists[1:] {
		if len(ns) == 0 {
			break
		}
		ns = both(ns, list.all())
	}
	return ns
}

// both returns what two ascending lists share, in the memory of the first.
func both(a, b []uint32) []uint32 {
	kept, j := a[:0], 0
	for _, n := range a {
		for j < len(b) && b[j] < n {
			j++
		}
		if j < len(b) && b[j] == n {
			kept = append(kept, n)
		}
	}
	return kept
}

// foldText makes texts comparable: compatibility forms (full-width letters among them) as their plain ones, lower case, runs of spaces as one.
func foldText(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), " ")
}

// Ready reports whether all demands have been taken in since the start. A search before that finds what is there.
func (s *Search) Ready() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ready
}

// Unopened returns how many demands have personal text that could not be opened and is not searched, and the first reason.
func (s *Search) Unopened() (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.unopened, s.err
}

// candidates is how many demands one search verifies at most, the newest first.
const candidates = 1000

// Find returns demands whose text holds all words of the query, the newest first, at most limit (up to 1,000) of them. Words are
// separated by spaces and may be parts of words. Without personal, only summaries are searched. It asks nobody's
// rights: hand what it found to [Views.Demands]. Of a query so common that more than 1,000 demands look like
// matches, only the newest 1,000 are verified.
func (s *Search) Find(ctx context.Context, query string, personal bool, limit int) ([]stream.ID, error) {
	words := strings.Fields(foldText(query))
	if len(words) == 0 || limit < 1 {
		return nil, nil
	}
	var found []hit
	for ids := range slices.Chunk(s.candidates(words, personal), 100) {
		err := s.read(ctx, ids, func(r text) error {
			matches, err := s.matches(r, words, personal)
			if matches {
				found = append(found, hit{r.id, r.raised})
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		if len(found) >= limit { // what follows is older
			break
		}
	}
	slices.SortFunc(found, newest)
	found = found[:min(len(found), limit)]
	ids := make([]stream.ID, len(found))
	for i, h := range found {
		ids[i] = h.id
	}
	return ids, nil
}

type hit struct {
	id     stream.ID
	raised int64
}

// newest orders hits, the newest first.
func newest(a, b hit) int {
	return cmp.Or(cmp.Compare(b.raised, a.raised), slices.Compare(a.id[:], b.id[:]))
}

// candidates returns the newest demands that hold the pairs of all words, the newest first.
func (s *Search) candidates(words []string, personal bool) []stream.ID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ns []uint32
	for i, w := range words {
		runes := []rune(w)
		these := s.public.holding(runes)
		if personal {
			these = append(these, s.personal.holding(runes)...)
			slices.Sort(these)
			these = slices.Compact(these)
		}
		if i == 0 {
			ns = these
		} else {
			ns = both(ns, these)
		}
	}
	var top oldestFirst
	for _, n := range ns {
		d := &s.docs[n]
		if d.id.IsZero() {
			continue
		}
		h := hit{d.id, d.raised}
		switch {
		case len(top) < candidates:
			heap.Push(&top, h)
		case newest(h, top[0]) < 0:
			top[0] = h
			heap.Fix(&top, 0)
		}
	}
	slices.SortFunc(top, newest)
	ids := make([]stream.ID, len(top))
	for i, h := range top {
		ids[i] = h.id
	}
	return ids
}

// oldestFirst is a heap of the newest hits with the oldest of them on top.
type oldestFirst []hit

func (h oldestFirst) Len() int           { return len(h) }
func (h oldestFirst) Less(i, j int) bool { return newest(h[j], h[i]) < 0 }
func (h oldestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *oldestFirst) Push(x any)        { *h = append(*h, x.(hit)) }
func (h *oldestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// text is what the views have of one demand to search in.
type text struct {
	id      stream.ID
	raised  int64
	summary string
	sealed  SealedRow
}

const searchColumns = "d.raised_at, d.summary, " + sealedColumns

func readText(rs *sql.Rows) (r text, err error) {
	r.sealed, err = readSealed(func(into ...any) error { return rs.Scan(append([]any{&r.raised, &r.summary}, into...)...) })
	r.id = r.sealed.Demand
	return r, err
}

func (s *Search) read(ctx context.Context, ids []stream.ID, each func(text) error) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = bytesOf(id)
	}
	q := "SELECT " + searchColumns + " FROM demands AS d JOIN demand_sealed AS s ON s.id = d.id WHERE d.id IN (" + marks(len(ids)) + ")"
	var all []text
	err := s.runner.Views().query(ctx, q, args, func(rs *sql.Rows) error {
		r, err := readText(rs)
		all = append(all, r)
		return err
	})
	for _, r := range all {
		if err != nil {
			break
		}
		err = each(r)
	}
	return err
}

func (s *Search) matches(r text, words []string, personal bool) (bool, error) {
	texts := []string{foldText(r.summary)}
	if personal {
		for _, f := range []struct{ field, cipher string }{{"title", r.sealed.Title}, {"text", r.sealed.Text}} {
			clear, err := s.open(r.sealed, f.field, f.cipher)
			if err != nil {
				return false, err
			}
			texts = append(texts, foldText(clear))
		}
	}
	for _, w := range words {
		if !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, w) }) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Search) open(r SealedRow, field, cipher string) (string, error) {
	if cipher == "" || s.runner.config.Opener == nil {
		return "", nil
	}
	clear, err := s.runner.config.Opener.Open(stream.Of(stream.Demand, r.Demand), r.Event, demand.Raised{}.EventType(), field, cipher)
	if err != nil {
		return "", fmt.Errorf("open %s of demand %s: %w", field, r.Demand, err)
	}
	return clear, nil
}

// SameReporter returns the demands of whoever reported this one, the newest first, itself included: those with the same phone, id number or
// account. It is empty if nothing is known of the reporter.
func (s *Search) SameReporter(id stream.ID) []stream.ID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, known := s.numbers[id]
	if !known {
		return nil
	}
	var found []hit
	for _, b := range s.docs[n].blinds {
		for _, m := range s.blinds[b] {
			found = append(found, hit{s.docs[m].id, s.docs[m].raised})
		}
	}
	slices.SortFunc(found, newest)
	var ids []stream.ID
	for _, h := range slices.Compact(found) {
		ids = append(ids, h.id)
	}
	return ids
}

// ByReporter returns the demands that were reported under an exact value of a kind ("phone", "id_number", "account"), the newest first.
func (s *Search) ByReporter(kind, value string) []stream.ID {
	if s.runner.config.Identity == nil {
		return nil
	}
	b, named := s.blind(kind, value)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !named || len(s.blinds[b]) == 0 {
		return nil
	}
	var found []hit
	for _, n := range s.blinds[b] {
		found = append(found, hit{s.docs[n].id, s.docs[n].raised})
	}
	slices.SortFunc(found, newest)
	var ids []stream.ID
	for _, h := range found {
		ids = append(ids, h.id)
	}
	return ids
}

func (s *Search) blind(kind, value string) (b blind, named bool) {
	text := s.runner.config.Identity.Blind(kind, value)
	if text == "" {
		return b, false
	}
	sum := sha256.Sum256([]byte(kind + "\n" + text))
	copy(b[:], sum[:])
	return b, true
}

// Drop forgets a demand at once, after an erasure, and takes in what can still be opened. Pairs of the old text stay in memory until the
// next start, tied to no demand.
func (s *Search) Drop(id stream.ID) {
	s.mu.Lock()
	s.forget(id)
	s.mu.Unlock()
	s.touch([]stream.ID{id})
}

// touch asks for demands to be taken in anew.
func (s *Search) touch(ids []stream.ID) {
	if len(ids) == 0 {
		return
	}
	s.queue.Lock()
	for _, id := range ids {
		s.dirty[id] = struct{}{}
	}
	s.asked++
	s.queue.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run takes in all demands, then those that change. Being the only one who does, it never puts an older text over a newer one.
func (s *Search) run(ctx context.Context) {
	defer close(s.done)
	for err := s.takeAll(ctx); err != nil; err = s.takeAll(ctx) {
		s.runner.config.Logger.Error("the search cannot read the views", "error", err)
		if !s.pause(ctx) {
			return
		}
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	s.advance(0)
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		s.queue.Lock()
		dirty := s.dirty
		s.dirty = map[stream.ID]struct{}{}
		goal := s.asked
		s.queue.Unlock()
		failed := false
		var ids []stream.ID
		for id := range dirty {
			ids = append(ids, id)
		}
		for some := range slices.Chunk(ids, 200) {
			if err := s.read(ctx, some, func(r text) error { return s.take(ctx, r) }); err != nil {
				if ctx.Err() != nil {
					return
				}
				s.runner.config.Logger.Error("the search cannot read the views", "error", err)
				failed = true
				s.touch(some)
				if !s.pause(ctx) {
					return
				}
			}
		}
		if !failed {
			s.advance(goal)
		}
	}
}

// advance says that what was asked up to goal has been taken in.
func (s *Search) advance(goal uint64) {
	s.queue.Lock()
	defer s.queue.Unlock()
	s.took = max(s.took, goal)
	close(s.moved)
	s.moved = make(chan struct{})
}

// Wait waits until the search has taken in what the views had when it was called; false if the context ends first, or the
// runner is closed.
func (s *Search) Wait(ctx context.Context) bool {
	s.queue.Lock()
	goal := s.asked
	s.queue.Unlock()
	for {
		s.queue.Lock()
		took, moved := s.took, s.moved
		s.queue.Unlock()
		if took >= goal && s.Ready() {
			return true
		}
		select {
		case <-moved:
		case <-s.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// pause waits until the views move; false if the context ends first.
func (s *Search) pause(ctx context.Context) bool {
	select {
	case <-s.runner.Changed():
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// takeAll reads one generation from end to end.
func (s *Search) takeAll(ctx context.Context) error {
	g, err := s.runner.acquire()
	if err != nil {
		return err
	}
	defer g.release()
	const some = 500
	for last := int64(0); ; {
		var all []text
		err := g.query(ctx, "SELECT d.rowid, "+searchColumns+" FROM demands AS d CROSS JOIN demand_sealed AS s ON s.id = d.id WHERE d.rowid > ? ORDER BY d.rowid LIMIT ?",
			[]any{last, int64(some)}, func(rs *sql.Rows) error {
				var r text
				var err error
				r.sealed, err = readSealed(func(into ...any) error { return rs.Scan(append([]any{&last, &r.raised, &r.summary}, into...)...) })
				r.id = r.sealed.Demand
				all = append(all, r)
				return err
			})
		if err != nil {
			return err
		}
		for _, r := range all {
			if err := s.take(ctx, r); err != nil {
				return err
			}
		}
		if len(all) < some {
			return nil
		}
	}
}

// asking is how often keys that are away are asked again.
const asking = 500 * time.Millisecond

// wait opens a field, and while the keys are away asks again: what is not searched because of that would be found by nobody until the next start.
func (s *Search) wait(ctx context.Context, r SealedRow, field, cipher string) (string, error) {
	for {
		clear, err := s.open(r, field, cipher)
		if !errors.Is(err, ErrKeysAway) {
			return clear, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(asking):
		}
	}
}

// take takes a demand in as it is now.
func (s *Search) take(ctx context.Context, r text) error {
	var clears []string
	var fault error
	for _, f := range []struct{ field, cipher string }{{"title", r.sealed.Title}, {"text", r.sealed.Text}} {
		clear, err := s.wait(ctx, r.sealed, f.field, f.cipher)
		clears, fault = append(clears, foldText(clear)), cmp.Or(fault, err)
	}
	var blinds []blind
	if s.runner.config.Identity != nil {
		for _, f := range []struct{ kind, cipher string }{{"phone", r.sealed.Phone}, {"id_number", r.sealed.IDNumber}, {"account", r.sealed.Account}} {
			clear, err := s.wait(ctx, r.sealed, "reporter."+f.kind, f.cipher)
			fault = cmp.Or(fault, err)
			if clear == "" {
				continue
			}
			if b, named := s.blind(f.kind, clear); named {
				blinds = append(blinds, b)
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(r.id)
	n := uint32(len(s.docs))
	s.docs = append(s.docs, doc{id: r.id, raised: r.raised, blinds: blinds})
	s.numbers[r.id] = n
	s.public.add(n, foldText(r.summary))
	for _, clear := range clears {
		s.personal.add(n, clear)
	}
	for _, b := range blinds {
		s.blinds[b] = append(s.blinds[b], n)
	}
	if fault != nil {
		s.unopened++
		if s.err == nil {
			s.err = fault
			s.runner.config.Logger.Error("personal text cannot be opened and is not searched", "error", fault)
		}
	}
	return nil
}

// forget makes a demand's number stand for nothing.
func (s *Search) forget(id stream.ID) {
	n, known := s.numbers[id]
	if !known {
		return
	}
	for _, b := range s.docs[n].blinds {
		left := slices.DeleteFunc(s.blinds[b], func(m uint32) bool { return m == n })
		if len(left) == 0 {
			delete(s.blinds, b)
		} else {
			s.blinds[b] = left
		}
	}
	s.docs[n] = doc{}
	delete(s.numbers, id)
}
