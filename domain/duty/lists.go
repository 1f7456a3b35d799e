// Package duty keeps the duty lists (清单): what a community or a street may be asked to bear, and what not, as
// published and from which date. Its [Gate] answers, for every dispatch to one of them, which row of which list decides.
//
// A district or the city publishes, each a whole that replaces its last one. A community or street is protected by every
// publisher above it whose lists in force cover its kind: what one of them stops is stopped, so a district adds to what the
// city keeps away, and takes nothing from it. Where no list is in force everything passes; where one is, what is on no list
// is blocked without a live grant, unless the publisher says otherwise. There is no way round the gate.
package duty

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/catalogue"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
)

// Event is something that happened to the lists of a publisher, or at the gate.
type Event interface{ EventType() string }

// List is one of the duty lists.
type List string

// The four lists of a community and the negative list; a street has the first and the negative list only.
const (
	StatutoryDuty   List = "statutory_duty"   // 依法履行: the community's own duties
	StatutoryAssist List = "statutory_assist" // 依法协助: others lead, the community helps
	NotBorne        List = "not_borne"        // 不应承担
	NoCertificate   List = "no_certificate"   // 不应出具证明
	Negative        List = "negative"         // 负面清单: a residents' committee is not made responsible
	OnNone          List = "unlisted"         // 清单外: stands for a list where a matter is on none
)

// listsOf returns the lists that a kind of unit has, in the order in which the gate asks them; nil if it has none.
func listsOf(k orgs.Kind) []List {
	switch k {
	case orgs.Community:
		return []List{NoCertificate, Negative, NotBorne, StatutoryDuty, StatutoryAssist}
	case orgs.Street:
		return []List{Negative, StatutoryDuty}
	}
	return nil
}

// Named is the list in the words of the people who read it.
func (l List) Named() rule.Phrase {
	switch l {
	case StatutoryDuty:
		return rule.Say("依法履行清单", "the list of statutory duties")
	case StatutoryAssist:
		return rule.Say("依法协助清单", "the list of statutory assistance")
	case NotBorne:
		return rule.Say("不应承担清单", "the list of what is not borne")
	case NoCertificate:
		return rule.Say("不应出具证明清单", "the list of certificates not to be issued")
	case Negative:
		return rule.Say("负面清单", "the negative list")
	}
	return rule.Say("清单外事项，未经准入", "it is on no list and no admission is live")
}

// Unlisted says what becomes of a matter on no list (gate.unlisted).
type Unlisted string

// The choices.
const (
	BlockUnlisted Unlisted = "block" // without a live grant
	PassUnlisted  Unlisted = "pass"
)

// NegativeGrant says what a live grant opens on the negative list (gate.negative_grant).
type NegativeGrant string

// The choices.
const (
	GrantAssists NegativeGrant = "assist_only" // a grant to assist
	GrantNothing NegativeGrant = "none"
	GrantAny     NegativeGrant = "any" // a grant to lead, too
)

// Item is one row of a list.
type Item struct {
	Target  orgs.Kind     `json:"target"` // community or street: whom it protects
	List    List          `json:"list"`
	Matter  string        `json:"matter"`            // class, subject or matter: "12", "1203" or "120301"; the longest that fits decides
	Row     sealed.Public `json:"row"`               // as it is printed
	Basis   sealed.Public `json:"basis,omitempty"`   // the legal basis; every row that blocks for good has one
	Instead sealed.Public `json:"instead,omitempty"` // where to go for a certificate that is not issued here
}

// Published records that a district or the city published its lists (清单公布). They are its whole lists: what an earlier
// version said and this one does not is gone from that date on.
type Published struct {
	Unit          orgs.UnitCode `json:"unit"`           // who publishes
	Version       int           `json:"version"`        // of this publisher, from 1
	From          calendar.Date `json:"effective_from"` // from its first instant in the city; of the versions whose date has come, the last published is in force
	Covers        []orgs.Kind   `json:"covers"`         // whom they protect: communities, streets, or both, whether a row names them or not
	Unlisted      Unlisted      `json:"unlisted"`
	NegativeGrant NegativeGrant `json:"negative_grant"`
	Basis         sealed.Public `json:"basis,omitempty"` // the document they were published by
	Items         []Item        `json:"items,omitempty"`
}

// EventType implements [Event].
func (Published) EventType() string { return "duty-list-published/1" }

// State is what the stream of a publisher says. The zero State is a publisher that has published nothing.
type State struct {
	Unit     orgs.UnitCode
	Versions []Version // from 1 on; read only
}

// Version is one publication.
type Version struct {
	Published
	At time.Time // recorded
}

// InForce returns the version in force on a date, false if there is none.
func (s State) InForce(on calendar.Date) (Version, bool) {
	for _, v := range slices.Backward(s.Versions) {
		if v.From <= on {
			return v, true
		}
	}
	return Version{}, false
}

// Fold returns the state after an event; s stays as it is. Events of other streams change nothing.
func Fold(s State, e Event, st rule.Stamp) State {
	if p, ok := e.(Published); ok {
		s.Unit, s.Versions = p.Unit, append(slices.Clip(s.Versions), Version{p, st.Recorded})
	}
	return s
}

// Publish asks to publish the lists of a district or the city. Its members are those of [Published]; what says nothing
// about unlisted matters and grants on the negative list means the defaults, block and assist_only.
type Publish struct {
	Unit          orgs.UnitCode
	From          calendar.Date
	Covers        []orgs.Kind
	Unlisted      Unlisted
	NegativeGrant NegativeGrant
	Basis         sealed.Public
	Items         []Item
}

// Name is the command's word in the path of the API.
func (Publish) Name() string { return "publish" }

func needs(zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, "C8", zh, en) }

// Decide returns what a publication makes happen; nothing if the last version says the same. An admission officer
// publishes for the own district or city, another one confirms. A version comes into force on a later date than the one on
// which it is published: so one version is in force on each date, whoever asks, whenever.
func Decide(s State, c Publish, at rule.At) ([]Event, error) {
	u, known := at.Units.Unit(c.Unit)
	switch {
	case at.Actor.Role != orgs.AdmissionOfficer:
		return nil, rule.Refuse(rule.RoleMissing, "C8", "清单由准入办公布", "duty lists are published by an admission officer")
	case at.Actor.Unit != c.Unit:
		return nil, rule.Refuse(rule.OutsideJuris, "C8", fmt.Sprintf("%s 不能公布 %s 的清单", at.Actor.Unit, c.Unit),
			fmt.Sprintf("%s does not publish the lists of %s", at.Actor.Unit, c.Unit))
	case !known || u.Closed || u.Kind != orgs.District && u.Kind != orgs.City:
		return nil, needs("清单由市或区县旗公布", "lists are published by a district or the city")
	}
	if r := rule.NotFuture(at); r != nil {
		return nil, r
	}
	if r := rule.Confirmed(at.Stamp, "C8", orgs.AdmissionOfficer); r != nil {
		return nil, r
	}
	if at.Second.Unit != c.Unit {
		return nil, rule.Refuse(rule.SecondPerson, "C8", fmt.Sprintf("须由 %s 准入办的另一人确认", c.Unit),
			fmt.Sprintf("another admission officer of %s must confirm", c.Unit))
	}
	e := Published{Unit: c.Unit, Version: len(s.Versions) + 1, From: c.From, Covers: c.Covers, Unlisted: c.Unlisted,
		NegativeGrant: c.NegativeGrant, Basis: c.Basis, Items: c.Items}
	if e.Unlisted == "" {
		e.Unlisted = BlockUnlisted
	}
	if e.NegativeGrant == "" {
		e.NegativeGrant = GrantAssists
	}
	if n := len(s.Versions); n > 0 {
		last := s.Versions[n-1].Published
		last.Version = e.Version
		if rule.Same(last, e) {
			return nil, nil
		}
	}
	if today := calendar.DateOf(at.Recorded); e.From <= today {
		return nil, needs(fmt.Sprintf("生效日期须在今天（%s）之后", today), fmt.Sprintf("lists come into force after today, %s", today))
	}
	if r := e.check(); r != nil {
		return nil, r
	}
	return []Event{e}, nil
}

// check refuses lists that are not well-formed or contradict themselves.
func (p Published) check() *rule.Refusal {
	for i, k := range p.Covers {
		if listsOf(k) == nil || slices.Contains(p.Covers[:i], k) {
			return needs("适用对象为社区、街道，各写一次", "lists cover communities, streets, or both, each named once")
		}
	}
	switch {
	case len(p.Covers) == 0:
		return needs("请写明适用于社区还是街道", "say whether the lists cover communities or streets")
	case p.Unlisted != BlockUnlisted && p.Unlisted != PassUnlisted:
		return needs("清单外事项须为 block 或 pass", "unlisted is block or pass")
	case p.NegativeGrant != GrantAssists && p.NegativeGrant != GrantNothing && p.NegativeGrant != GrantAny:
		return needs("负面清单准入须为 assist_only、none 或 any", "negative_grant is assist_only, none or any")
	}
	for i, x := range p.Items {
		if r := x.check(p.Covers, i+1); r != nil {
			return r
		}
		for j, y := range p.Items[:i] {
			if r := x.against(y, i+1, j+1); r != nil {
				return r
			}
			if r := y.against(x, j+1, i+1); r != nil {
				return r
			}
		}
	}
	return nil
}

// check refuses a row that is not well-formed. n is its place, from 1.
func (x Item) check(covers []orgs.Kind, n int) *rule.Refusal {
	no := func(zh, en string) *rule.Refusal {
		return needs(fmt.Sprintf("第 %d 行：%s", n, zh), fmt.Sprintf("row %d: %s", n, en))
	}
	blank := func(t sealed.Public) bool { return strings.TrimSpace(string(t)) == "" }
	switch {
	case !slices.Contains(covers, x.Target):
		return no(fmt.Sprintf("对象 %q 不在适用范围内", x.Target), fmt.Sprintf("the target %q is not covered", x.Target))
	case !slices.Contains(listsOf(x.Target), x.List):
		return no(fmt.Sprintf("%s 没有清单 %q", x.Target, x.List), fmt.Sprintf("a %s has no list %q", x.Target, x.List))
	case !catalogue.Heads(x.Matter):
		return no(fmt.Sprintf("事项目录中没有 %q", x.Matter), fmt.Sprintf("the catalogue has no class, subject or matter %q", x.Matter))
	case blank(x.Row):
		return no("请写明条目内容", "the words of the row are missing")
	case blank(x.Basis) && (x.List == NoCertificate || x.List == Negative):
		return no("不应出具证明和负面清单的条目须有依据", "a row of these lists needs its legal basis")
	case blank(x.Instead) && x.List == NoCertificate:
		return no("不应出具证明的条目须写明应到何处办理", "say where to go for this certificate")
	case !blank(x.Instead) && x.List != NoCertificate:
		return no("只有不应出具证明的条目写明去处", "only a certificate says where to go instead")
	}
	return nil
}

// against refuses a row that says what another says, or that can never take effect because a stricter list has its
// matter, or the whole subject or class, already. To help with what is on the negative list is no contradiction.
func (x Item) against(y Item, n, m int) *rule.Refusal {
	order := listsOf(x.Target)
	switch {
	case x.Target != y.Target || !strings.HasPrefix(x.Matter, y.Matter):
		return nil
	case x.List == y.List && x.Matter == y.Matter:
		return needs(fmt.Sprintf("第 %d 行与第 %d 行重复", n, m), fmt.Sprintf("rows %d and %d say the same", n, m))
	case x.List != StatutoryDuty && x.List != StatutoryAssist || slices.Index(order, y.List) >= slices.Index(order, x.List):
		return nil // one forbids what the other forbids, or x is an exception from y
	case x.List == StatutoryAssist && y.List == Negative:
		return nil
	}
	return needs(fmt.Sprintf("第 %d 行与第 %d 行矛盾：事项 %s 已在%s上", n, m, x.Matter, y.List.Named().Zh),
		fmt.Sprintf("rows %d and %d contradict each other: matter %s is on %s already", n, m, x.Matter, y.List.Named().En))
}
