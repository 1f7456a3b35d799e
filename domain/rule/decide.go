package rule

import (
	"fmt"

	"gridcase/domain/stream"
)

// Ask decides one command in a state: the table is asked first, then the guards, and what these refuse says what the table has
// instead. What a command makes happen is E: an event, or some; the zero E is nothing. An error that is no [*Refusal] names the command and the case.
func Ask[S ~string, E any](m *Machine[S], id stream.ID, state S, command string, at At, guards func(At) (E, error)) (E, error) {
	var nothing E
	if r := m.Admit(state, command, at.Stamp); r != nil {
		return nothing, r
	}
	e, err := guards(at)
	if r, refused := err.(*Refusal); refused {
		return nothing, m.Explain(state, r)
	}
	if err != nil {
		return nothing, fmt.Errorf("%s %s %s: %w", command, m.Name, id, err)
	}
	return e, nil
}

// Again reports whether the same person asks at the same moment for what a stream said last. The question is put to the state
// before that, by ask, at the time of then: counters have moved on since, and windows may have closed.
func Again[E any](at At, said E, when Stamp, ask func(At) (E, error)) bool {
	if at.Actor != when.Actor || !at.Occurred.Equal(when.Occurred) {
		return false
	}
	at.Recorded = when.Recorded
	e, err := ask(at)
	return err == nil && Same(e, said)
}
