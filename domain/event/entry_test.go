package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

func TestAnUnknownEventIsKeptByteForByte(t *testing.T) {
	for _, data := range []string{`{"b":1, "a":[ 2 ]}`, `{}`, `"text"`, `not json at all`, ``} {
		body, err := event.Decode("demand-dreamt-of/9", []byte(data))
		if err != nil {
			t.Errorf("%q: %v", data, err)
			continue
		}
		if _, unknown := body.(event.Unknown); !unknown || body.EventType() != "demand-dreamt-of/9" {
			t.Errorf("%q decodes to %T of type %s, want Unknown", data, body, body.EventType())
		}
		if got, err := event.Encode(body); err != nil || !bytes.Equal(got, []byte(data)) {
			t.Errorf("%q encodes to %q, %v", data, got, err)
		}
	}
}

func TestAnUnknownEventDoesNotKeepTheBytesItWasReadFrom(t *testing.T) {
	data := []byte(`{"a":1}`)
	body, _ := event.Decode("demand-dreamt-of/9", data)
	data[1] = 'X'
	if got, _ := event.Encode(body); string(got) != `{"a":1}` {
		t.Errorf("it changed with its source: %s", got)
	}
}

func TestClearTextIsNeverEncoded(t *testing.T) {
	_, err := event.Encode(demand.Supplemented{Text: sealed.Clear("secret")})
	if !errors.Is(err, sealed.ErrNotSealed) {
		t.Errorf("got %v, want ErrNotSealed", err)
	}
	if _, err := event.Decode("demand-supplemented/1", []byte(`{"text":"secret"}`)); !errors.Is(err, sealed.ErrNotSealed) {
		t.Errorf("clear text was read from the log: %v", err)
	}
}

var diary = stream.Of(stream.Demand, stream.Derive("diary"))

// entries of a demand's stream: raised, accepted, then supporters.
func stored(t *testing.T, n stream.Name, revision int64) event.Stored {
	t.Helper()
	var body event.Body = demand.Supported{Supporters: 1}
	switch revision {
	case 0:
		body = demand.Raised{Kind: demand.Issue, Unit: "150105003001"}
	case 1:
		body = demand.Accepted{Kind: demand.Issue, Unit: "150105003001", Urgency: "C"}
	}
	data, err := event.Encode(body)
	if err != nil {
		t.Fatal(err)
	}
	m := event.Meta{Actor: "a", Role: orgs.Clerk, Occurred: moment, Recorded: moment, Schema: 1}
	return event.Stored{Stream: n, Revision: revision, ID: stream.Event(n, "k", int(revision)), Type: body.EventType(), Data: data, Meta: event.EncodeMeta(m)}
}

// loader folds the first events of a stream, and counts how often it was asked.
func loader(t *testing.T, asked *int) func(stream.Name, int64) (event.State, error) {
	return func(n stream.Name, count int64) (event.State, error) {
		*asked++
		var s event.State
		for i := range count {
			e, err := event.Understand(stored(t, n, i))
			if err != nil {
				return nil, err
			}
			s = event.Fold(n, s, e.Body, e.Meta.Stamp(e.ID))
		}
		return s, nil
	}
}

func TestAFolderShowsTheTransition(t *testing.T) {
	asked := 0
	f := event.NewFolder(8, loader(t, &asked))
	if e, err := f.Next(stored(t, diary, 0)); err != nil || e.Before != nil || e.After.(demand.State).Phase != demand.PhaseRaised {
		t.Fatalf("got %+v, %v, want nothing before and raised after", e, err)
	}
	e, err := f.Next(stored(t, diary, 1))
	if err != nil || e.Before.(demand.State).Phase != demand.PhaseRaised || e.After.(demand.State).Phase != demand.PhaseAccepted {
		t.Fatalf("got %+v, %v, want raised before and accepted after", e, err)
	}
	if e.After.(demand.State).ID != diary.ID() {
		t.Errorf("the state does not know its id: %v", e.After)
	}
	if asked != 0 {
		t.Errorf("it loaded %d times what it had folded itself", asked)
	}
}

func TestAHoleAndARepeatAreNamedAndChangeNothing(t *testing.T) {
	asked := 0
	f := event.NewFolder(8, loader(t, &asked))
	for _, step := range []struct {
		revision int64
		want     error
	}{{0, nil}, {1, nil}, {1, event.ErrRepeat}, {0, event.ErrRepeat}, {3, event.ErrHole}, {2, nil}, {3, nil}, {2, event.ErrRepeat}} {
		before, _ := f.State(diary)
		if _, err := f.Next(stored(t, diary, step.revision)); !errors.Is(err, step.want) {
			t.Errorf("revision %d: got %v, want %v", step.revision, err, step.want)
		}
		if after, _ := f.State(diary); step.want != nil && !reflect.DeepEqual(before, after) {
			t.Errorf("revision %d was refused and changed the state", step.revision)
		}
	}
	if _, err := f.Next(event.Stored{Stream: diary, Revision: 4, Type: "demand-accepted/1", Data: []byte("{"), Meta: []byte("{}")}); err == nil {
		t.Error("broken bytes were folded")
	}
	if _, err := f.Next(stored(t, diary, 4)); err != nil {
		t.Errorf("after broken bytes: %v", err)
	}
}

func TestAFolderThatForgetsGivesTheSameEntries(t *testing.T) {
	asked, never := 0, 0
	small, large := event.NewFolder(2, loader(t, &asked)), event.NewFolder(100, loader(t, &never))
	names := make([]stream.Name, 5)
	for i := range names {
		names[i] = stream.Of(stream.Demand, stream.Derive("diary", string(rune('a'+i))))
	}
	for revision := range int64(6) {
		for _, n := range names {
			s := stored(t, n, revision)
			a, err := small.Next(s)
			if err != nil {
				t.Fatal(err)
			}
			b, err := large.Next(s)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%s revision %d: with two states kept\n%+v\nwith all kept\n%+v", n, revision, a, b)
			}
		}
	}
	if asked != 5*5 || never != 0 { // every event but the first of each stream
		t.Errorf("it loaded %d and %d times, want 25 and 0", asked, never)
	}
	if _, kept := small.State(names[0]); kept {
		t.Error("a state that was let go is still there")
	}
	large.Forget(names[0])
	if _, err := large.Next(stored(t, names[0], 6)); err != nil || never != 1 {
		t.Errorf("after forgetting: %v, loaded %d times, want once", err, never)
	}
}

func TestAStreamThatCanNotBeLoadedIsNamed(t *testing.T) {
	gone := errors.New("gone")
	f := event.NewFolder(2, func(stream.Name, int64) (event.State, error) { return nil, gone })
	if _, err := f.Next(stored(t, diary, 3)); !errors.Is(err, gone) || !bytes.Contains([]byte(err.Error()), []byte(diary)) {
		t.Errorf("got %v, want it to name the stream and the cause", err)
	}
}

func TestExamplesAreOfTheirType(t *testing.T) {
	for typ := range event.Types() {
		body, known := event.Example(typ)
		if !known || body.EventType() != typ {
			t.Errorf("the example of %s is a %T", typ, body)
		}
		if b, err := event.Encode(body); err != nil || !json.Valid(b) {
			t.Errorf("the zero value of %s encodes to %s, %v", typ, b, err)
		}
	}
	if _, known := event.Example("never/1"); known {
		t.Error("there is an example of a type that does not exist")
	}
}
