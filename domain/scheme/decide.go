package scheme

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that an evaluator wants done with a scheme.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if what is asked for is so already.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Draft struct {
		Follows stream.ID
		Scheme  assessment.Scheme
	}
	Amend   struct{ Scheme assessment.Scheme }
	Publish struct{}
	Discard struct{ Reason sealed.Public }
	Retire  struct{ Reason sealed.Public }
)

// The names of the commands.
func (Draft) Name() string   { return "draft" }
func (Amend) Name() string   { return "amend" }
func (Publish) Name() string { return "publish" }
func (Discard) Name() string { return "discard" }
func (Retire) Name() string  { return "retire" }

// Needs names the other streams that a command must know.
func Needs(s State, c Command) rule.Refs {
	some := func(id stream.ID) []stream.ID {
		if id.IsZero() {
			return nil
		}
		return []stream.ID{id}
	}
	switch c := c.(type) {
	case Draft:
		return rule.Refs{Schemes: some(c.Follows)}
	case Publish:
		return rule.Refs{Schemes: some(s.Follows)}
	case Retire:
		return rule.Refs{Applying: s.ID}
	}
	return rule.Refs{}
}

// Decide returns what a command makes happen: one event; none if the same person says at the same moment what was said
// last, or if a draft is amended to what it says already. The error is a [*rule.Refusal].
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	if repeats(s, c, at) {
		return nil, nil
	}
	e, err := answer(s, c, at)
	if e == nil || err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is put to the
// state of then, at the time of then.
func repeats(s State, c Command, at rule.At) bool {
	return s.before != nil && rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

func needs(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// ours refuses whoever is not of the office whose scheme it is, or of one above, both persons where there are two.
func (s State) ours(at rule.At, id string) *rule.Refusal {
	if r := rule.Reaches(at, s.Unit, id); r != nil {
		return r
	}
	return rule.SecondReaches(at, s.Unit, id)
}

// S1.
func (c Draft) decide(s State, at rule.At) (Event, error) {
	unit := rule.Seat(at.Units, at.Actor)
	if u, known := at.Units.Unit(unit); !known || u.Closed || u.Kind != orgs.District && u.Kind != orgs.City {
		return nil, rule.Refuse(rule.OutsideJuris, "S1", "考核方案由区（县、旗）或市的考评办起草", "a scheme is drafted by the evaluator's office of a district or of the city")
	}
	if !c.Follows.IsZero() {
		f, found := at.Facts.Scheme(c.Follows)
		switch {
		case !found || f.Version == 0:
			return nil, needs("S1", "所承接的方案不存在或尚未发布", "the scheme that this is to follow does not exist or was not published")
		case f.Unit != unit:
			return nil, needs("S1", "所承接的方案不属于本考评办", "the scheme that this is to follow is not of the own office")
		}
	}
	return Drafted{Unit: unit, Follows: c.Follows, Scheme: c.Scheme}, firm(readable(c.Scheme, "S1"))
}

// S2.
func (c Amend) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.ours(at, "S2"), readable(c.Scheme, "S2")); err != nil {
		return nil, err
	}
	if reflect.DeepEqual(c.Scheme, s.Scheme) {
		return nil, nil
	}
	return Amended(c), nil
}

// S3. What the validator finds is all said at once; a weight below its floor comes first, with the share that was computed.
func (c Publish) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.ours(at, "S3"), sound(s.Scheme)); err != nil {
		return nil, err
	}
	f, _ := at.Facts.Scheme(s.Follows)
	hash, err := assessment.Hash(s.Scheme)
	if err != nil {
		return nil, fmt.Errorf("publish scheme %s: %w", s.ID, err)
	}
	return Published{Version: f.Version + 1, Hash: hash}, nil
}

// S4.
func (c Discard) decide(s State, at rule.At) (Event, error) {
	return Discarded(c), firm(s.ours(at, "S4"))
}

// S5.
func (c Retire) decide(s State, at rule.At) (Event, error) {
	if r := s.ours(at, "S5"); r != nil {
		return nil, r
	}
	for _, p := range at.Facts.Periods {
		if p.Scheme == s.ID && !p.Ended {
			return nil, needs("S5", fmt.Sprintf("考核周期 %s（%s 至 %s）尚未封存，仍适用本方案", p.Jurisdiction, p.First, p.Last),
				fmt.Sprintf("the period of %s from %s to %s is settled by the scheme and not sealed yet", p.Jurisdiction, p.First, p.Last))
		}
	}
	return Retired(c), nil
}

// Bounds of what may be written down: ours, far above any scheme that was seen, and a fifth of what an event holds.
const (
	mostLines = 100
	mostText  = 500    // characters
	mostBytes = 48_000 // as it is recorded
)

// readable refuses what has no place in the log, drafts included: endless lists and texts, and numbers of persons.
func readable(s assessment.Scheme, id string) *rule.Refusal {
	if strings.TrimSpace(s.Name) == "" {
		return needs(id, "请填写方案名称", "the name of the scheme is missing")
	}
	lines := max(len(s.Subjects), len(s.Objective), len(s.Form), len(s.Deductions), len(s.Bonuses), len(s.Reasons))
	texts := []string{s.Name, s.Basis, string(s.Raters), string(s.Every)}
	for _, f := range s.Form {
		texts = append(texts, f.Code, f.Name)
	}
	for _, r := range s.Reasons {
		texts = append(texts, string(r))
	}
	for _, list := range [][]assessment.Item{s.Objective, s.Deductions, s.Bonuses} {
		for _, i := range list {
			lines = max(lines, len(i.Bands))
			texts = append(texts, string(i.Indicator), string(i.Shape), string(i.Step))
		}
	}
	for _, sub := range s.Subjects {
		texts = append(texts, string(sub.Kind))
	}
	for name, value := range s.Choices {
		texts = append(texts, string(name), value)
	}
	for _, t := range texts {
		switch {
		case utf8.RuneCountInString(t) > mostText:
			return needs(id, fmt.Sprintf("文字不得超过 %d 字", mostText), fmt.Sprintf("a text has at most %d characters", mostText))
		case sealed.LooksPersonal(t):
			return needs(id, "方案公开，不得含有手机号或身份证号", "a scheme is public and must not hold a phone or identity number")
		}
	}
	if written, err := json.Marshal(s); lines > mostLines || err != nil || len(written) > mostBytes {
		return needs(id, fmt.Sprintf("每张清单不得超过 %d 行，全文不得超过 %d 字节", mostLines, mostBytes),
			fmt.Sprintf("a list has at most %d lines, the whole at most %d bytes", mostLines, mostBytes))
	}
	return nil
}
