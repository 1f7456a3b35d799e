package transfer

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"

	"gridcase/eventlog"
	"gridcase/eventlog/ledger"
)

// Line is one event as it is exported. Data and meta are the stored bytes, the leaf is that of the stored bytes: whoever
// reads the line can tell whether they still are.
type Line struct {
	Position string          `json:"position"`
	Stream   string          `json:"stream"`
	Revision int64           `json:"revision"`
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	At       time.Time       `json:"at"`
	Leaf     string          `json:"leaf,omitempty"` // leaf hash, padded base64; exports of older versions have none
	Meta     json.RawMessage `json:"meta"`
	Data     json.RawMessage `json:"data"`
}

// LineOf is an event as it is exported.
func LineOf(e eventlog.Event) Line {
	leaf := ledger.LeafOf(e).Hash()
	return Line{Position: e.Position.String(), Stream: e.Stream, Revision: int64(e.Revision), ID: e.ID.String(), Type: e.Type, At: e.At,
		Leaf: base64.StdEncoding.EncodeToString(leaf[:]), Meta: e.Meta, Data: e.Data}
}

// event is the event of a line. It returns an error if its bytes are not those that were exported.
func (l Line) event() (eventlog.Event, error) {
	id, notID := uuid.Parse(l.ID)
	position, err := strconv.ParseUint(l.Position, 10, 64)
	if err != nil || notID != nil || l.Stream == "" || l.Type == "" || l.Meta == nil || l.Data == nil {
		return eventlog.Event{}, errors.New("it is no event of an export")
	}
	e := eventlog.Event{Fact: eventlog.Fact{ID: id, Type: l.Type, Data: l.Data, Meta: l.Meta}, Stream: l.Stream,
		Revision: eventlog.Revision(l.Revision), Position: eventlog.Position(position), At: l.At.UTC()}
	if want := LineOf(e).Leaf; l.Leaf != "" && l.Leaf != want {
		return eventlog.Event{}, fmt.Errorf("revision %d of %s: the leaf is %s and says %s: its bytes are not those that the log held", l.Revision, l.Stream, want, l.Leaf)
	}
	return e, nil
}

// Export reads a file that gridcase export wrote.
func Export(path string) Source {
	return func(yield func(eventlog.Event, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(eventlog.Event{}, err)
			return
		}
		defer f.Close()
		lines := bufio.NewReaderSize(f, 1<<20)
		last := eventlog.Position(0)
		for number := 1; ; number++ {
			text, err := lines.ReadBytes('\n')
			if err == io.EOF && len(text) == 0 {
				return
			}
			var l Line
			var e eventlog.Event
			switch {
			case err == io.EOF:
				err = errors.New("it is cut off: the export was not finished")
			case err == nil:
				if err = json.Unmarshal(text, &l); err == nil {
					e, err = l.event()
				}
			}
			if err == nil && e.Position <= last {
				err = fmt.Errorf("position %d does not come after %d", e.Position, last)
			}
			if err != nil {
				yield(eventlog.Event{}, fmt.Errorf("%s, line %d: %w", path, number, err))
				return
			}
			if last = e.Position; !yield(e, nil) {
				return
			}
		}
	}
}
