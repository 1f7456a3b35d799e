package evidence

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// kind says what a mark tells. Each category has kinds of its own, from 1; [lateMark] is of all.
type kind byte

// A mark begins with a byte: its kind, and above it three flags whose meaning is the kind's.
const (
	kindBits      = 5
	lateMark kind = 1<<kindBits - 1 // an event of an earlier day was recorded on this one
)

// The flags of a mark.
const (
	flagA byte = 1 << iota
	flagB
	flagC
)

// flag makes a flag of a condition.
func flag(set bool, f byte) byte {
	if set {
		return f
	}
	return 0
}

// pen writes the marks of one event at the end of a track.
type pen struct {
	seen
	track Track
	last  Position  // of the track's last mark
	clock int64     // the last instant told, in seconds since 1970
	did   time.Time // the effective instant of this event, if it has one that is told

	months months // of all instants told …
	before int    // … and how many they were before this event
}

// openPen reads a track to its end. What it writes leaves the bytes of the track as they are.
func openPen(t Track, of stream.Category, e seen) *pen {
	w := &pen{seen: e, track: slices.Clip(t)}
	r := reader{rest: t, each: w.months.add}
	newFolder(everything, 0).fold(Case{Of: of, Track: t}, &r)
	w.last, w.clock, w.before = r.at, r.clock, len(w.months.list)
	return w
}

// mark begins a mark.
func (w *pen) mark(k kind, flags byte) {
	w.track = append(w.track, byte(k)|flags<<kindBits)
	w.num(uint64(w.at - w.last))
	w.last = w.at
}

func (w *pen) num(n uint64) { w.track = binary.AppendUvarint(w.track, n) }

func (w *pen) id(id stream.ID) { w.track = append(w.track, id[:]...) }

// instant writes whole seconds, as the difference from the instant before.
func (w *pen) instant(t time.Time) {
	w.track = binary.AppendVarint(w.track, t.Unix()-w.clock)
	w.clock = t.Unix()
	w.months.add(w.clock)
}

// done writes the effective instant of the event.
func (w *pen) done(t time.Time) {
	w.instant(t)
	w.did = t
}

// late marks an event that counts on an earlier day than that of its recording: the case can count in the period in which it
// became known, too (choice late_fact).
func (w *pen) late() {
	if !w.did.IsZero() && calendar.DateOf(w.did) != calendar.DateOf(w.Meta.Recorded) {
		w.mark(lateMark, 0)
		w.instant(w.Meta.Recorded)
	}
}

// vocabulary holds the words that most tracks use. It only shortens: any other word is written out. A word that changes its
// place here changes the meaning of what the views keep.
var vocabulary = strings.Fields(`errand issue consult suggestion report dispute
	hotline wechat counter app open311 station pavilion contact_card home_visit patrol import
	A B C D anonymous do_not_call unreached not_called agreed referred_out ended`)

var places = func() map[string]uint64 {
	m := map[string]uint64{}
	for i, w := range vocabulary {
		m[w] = uint64(i)
	}
	return m
}()

// How a word is written: its head has the way in its two lowest bits.
const (
	known  = iota // a place in the vocabulary
	digits        // a number, behind a leading 1 that keeps its zeros
	marked        // the same, a hyphen, and a word that is spelt
	spelt         // its length; then its bytes
)

// word writes a short text, as a rule a code.
func (w *pen) word(s string) {
	if i, here := places[s]; here {
		w.num(i << 2) // and known, which is 0
		return
	}
	number, rest, cut := strings.Cut(s, "-")
	if n := len(number); n > 0 && n <= 16 && strings.Trim(number, "0123456789") == "" {
		value := uint64(1)
		for _, c := range []byte(number) {
			value = value*10 + uint64(c-'0')
		}
		if !cut {
			w.num(value<<2 | digits)
			return
		}
		w.num(value<<2 | marked)
		w.num(uint64(len(rest)))
		w.track = append(w.track, rest...)
		return
	}
	w.num(uint64(len(s))<<2 | spelt)
	w.track = append(w.track, s...)
}

// number writes a case number (编号): the three counts in it, or the text if it has another form.
func (w *pen) number(s string) {
	if n, ok := splitNumber(s); ok {
		w.num(n.county<<1 | 1)
		w.num(n.day)
		w.num(n.count)
		w.track = append(w.track, n.check)
		return
	}
	w.num(uint64(len(s)) << 1)
	w.track = append(w.track, s...)
}

// numbered is a case number in parts: 150105-20261116-0417-N.
type numbered struct {
	county, day, count uint64
	check              byte
}

func splitNumber(s string) (n numbered, ok bool) {
	if len(s) != 22 {
		return n, false
	}
	for i, c := range []byte(s) {
		switch hyphen := i == 6 || i == 15 || i == 20; {
		case hyphen && c != '-', !hyphen && i < 20 && (c < '0' || c > '9'):
			return n, false
		case hyphen || i == 21:
		case i < 6:
			n.county = n.county*10 + uint64(c-'0')
		case i < 15:
			n.day = n.day*10 + uint64(c-'0')
		default:
			n.count = n.count*10 + uint64(c-'0')
		}
	}
	n.check = s[21]
	return n, true
}

func (n numbered) text() [22]byte {
	b := [22]byte{6: '-', 15: '-', 20: '-', 21: n.check}
	digits := func(from, to int, value uint64) {
		for i := to - 1; i >= from; i-- {
			b[i], value = byte('0'+value%10), value/10
		}
	}
	digits(0, 6, n.county)
	digits(7, 15, n.day)
	digits(16, 20, n.count)
	return b
}

// place is where a case lies, from its unit up; "" where there is none.
type place struct{ unit, community, street, district orgs.UnitCode }

// How a unit above another is written, in two bits.
const (
	none     = iota
	begins   // it is what the other's code begins with, as long as such codes are
	itself   // it is the other
	writtenU // it follows
)

// The lengths of the codes of places.
const (
	districtDigits  = 6
	streetDigits    = 9
	communityDigits = 12
)

// above says how a unit is written beside one that it lies above.
func above(unit, up orgs.UnitCode, length int) byte {
	switch {
	case up == "":
		return none
	case up == unit:
		return itself
	case len(unit) > length && unit[:length] == up:
		return begins
	}
	return writtenU
}

func (w *pen) place(p place) {
	w.word(string(p.unit))
	c, s, d := above(p.unit, p.community, communityDigits), above(p.unit, p.street, streetDigits), above(p.unit, p.district, districtDigits)
	w.track = append(w.track, c|s<<2|d<<4)
	w.up(c, p.community)
	w.up(s, p.street)
	w.up(d, p.district)
}

func (w *pen) up(how byte, u orgs.UnitCode) {
	if how == writtenU {
		w.word(string(u))
	}
}

// reader reads a track, up to a position.
type reader struct {
	rest  []byte
	at    Position
	clock int64
	words *words
	from  int64 // instants in [from, to) are told by hit
	to    int64
	hit   bool           // such an instant was told
	each  func(at int64) // is told each instant; nil: nobody
}

// next returns the next mark that was known at a position; false if there is none. Broken bytes end the track.
func (r *reader) next(asOf Position) (k kind, flags byte, ok bool) {
	if len(r.rest) == 0 {
		return 0, 0, false
	}
	head := r.rest[0]
	step, size := binary.Uvarint(r.rest[1:])
	if size <= 0 || r.at+Position(step) > asOf {
		return 0, 0, false
	}
	r.at += Position(step)
	r.rest = r.rest[1+size:]
	return kind(head & (1<<kindBits - 1)), head >> kindBits, true
}

func (r *reader) num() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		n := r.rest[0]
		r.rest = r.rest[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.rest = nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count reads how many things of a size follow.
func (r *reader) count(size int) int {
	n := r.num()
	if n > uint64(len(r.rest)/size) {
		r.rest = nil
		return 0
	}
	return int(n)
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) id() (id stream.ID) {
	if len(r.rest) < len(id) {
		r.rest = nil
		return id
	}
	copy(id[:], r.rest)
	r.rest = r.rest[len(id):]
	return id
}

func (r *reader) instant() time.Time {
	n := r.num()
	r.clock += int64(n>>1) ^ -int64(n&1)
	if r.clock >= r.from && r.clock < r.to {
		r.hit = true
	}
	if r.each != nil {
		r.each(r.clock)
	}
	return time.Unix(r.clock, 0).UTC()
}

func (r *reader) word() string {
	whole := r.rest
	h := r.num()
	switch h & 3 {
	case known:
		if h>>2 < uint64(len(vocabulary)) {
			return vocabulary[h>>2]
		}
	case digits:
		return r.words.number(h >> 2)
	case marked:
		n := r.count(1)
		rest := r.rest[:n]
		r.rest = r.rest[n:]
		return r.words.text(whole[:len(whole)-len(r.rest)], func() string { return string(unzero(h>>2)) + "-" + string(rest) })
	case spelt:
		n := int(min(h>>2, uint64(len(r.rest))))
		text := r.rest[:n]
		r.rest = r.rest[n:]
		return r.words.text(whole[:len(whole)-len(r.rest)], func() string { return string(text) })
	}
	return ""
}

// unzero writes out a number behind its leading 1.
func unzero(n uint64) []byte {
	var b [20]byte
	i := len(b)
	for ; n > 9; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return slices.Clone(b[i:])
}

func (r *reader) number() string {
	h := r.num()
	if h&1 == 1 {
		n := numbered{county: h >> 1}
		n.day, n.count = r.num(), r.num()
		n.check = r.byte()
		b := n.text()
		return r.words.once(b[:])
	}
	n := int(min(h>>1, uint64(len(r.rest))))
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *reader) code() orgs.UnitCode { return orgs.UnitCode(r.word()) }

func (r *reader) place() (p place) {
	p.unit = r.code()
	how := r.byte()
	p.community = r.up(how&3, p.unit, communityDigits)
	p.street = r.up(how>>2&3, p.unit, streetDigits)
	p.district = r.up(how>>4&3, p.unit, districtDigits)
	return p
}

func (r *reader) up(how byte, unit orgs.UnitCode, length int) orgs.UnitCode {
	switch how {
	case begins:
		return unit[:min(length, len(unit))]
	case itself:
		return unit
	case writtenU:
		return r.code()
	}
	return ""
}

// words keeps one copy of each word that was read: a year of a city has some ten thousand. The nil words keep none.
type words struct {
	numbers [1 << 13]struct {
		of   uint64
		text string
	}
	texts map[string]string // by how they are written
	piece strings.Builder   // of texts that are read once, behind one another
}

// number returns a number behind its leading 1 as text.
func (w *words) number(n uint64) string {
	if w == nil {
		return string(unzero(n))
	}
	kept := &w.numbers[n*0x9e3779b97f4a7c15>>51]
	if kept.of != n {
		kept.of, kept.text = n, string(unzero(n))
	}
	return kept.text
}

func (w *words) text(written []byte, spell func() string) string {
	if w == nil {
		return spell()
	}
	text, here := w.texts[string(written)]
	if !here {
		text = spell()
		w.texts[string(written)] = text
	}
	return text
}

// once returns a text that no other case has. A year of a city has half a million, which lie together in few pieces.
func (w *words) once(text []byte) string {
	if w == nil {
		return string(text)
	}
	if w.piece.Cap()-w.piece.Len() < len(text) {
		w.piece = strings.Builder{}
		w.piece.Grow(max(len(text), 1<<16))
	}
	from := w.piece.Len()
	w.piece.Write(text)
	return w.piece.String()[from:]
}
