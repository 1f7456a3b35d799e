package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gridcase/domain/calendar"
	"gridcase/domain/escalation"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
)

// Command is something asked of one of the streams.
type Command interface {
	Name() string
	decide(Published, rule.At) (Event, error)
}

// The commands. Versions are given by the rules: one more than the last. A policy may be handed in with the version that
// is in force, which it was edited from, or with none; any other was edited from something that is not in force any more.
type (
	PublishNotice struct {
		Notice calendar.Notice
		Reason sealed.Public // needed for a correction
	}
	PublishDeadlines struct {
		Policy Table
		Reason sealed.Public
	}
	PublishEscalation struct {
		Policy escalation.Policy
		Reason sealed.Public
	}
)

// Name implements [Command].
func (PublishNotice) Name() string { return "publish-notice" }

// Name implements [Command].
func (PublishDeadlines) Name() string { return "publish-deadlines" }

// Name implements [Command].
func (PublishEscalation) Name() string { return "publish-escalation" }

// Founding returns the first publications of a new log: what is in force from its beginning, stream by stream.
func Founding(now InForce) (notices, deadlines, escalations []Event) {
	c, _ := calendar.New()
	for _, n := range now.Calendar.Notices() {
		var reason sealed.Public
		known := slices.Contains(c.Years(), n.Year)
		if known {
			reason = "更正"
		}
		c, _ = c.With(n) // each was accepted when the calendar in force was made
		notices = append(notices, published(n, c.Version(), known, reason))
	}
	return notices, []Event{DeadlinesPublished{Policy: Written(now.Policy)}}, []Event{EscalationPublished{Policy: *now.Escalation.OrDefault()}}
}

func published(n calendar.Notice, version string, correction bool, reason sealed.Public) CalendarPublished {
	return CalendarPublished{Version: version, Year: n.Year, Source: n.Source, Off: n.Off, Work: n.Work, Occasions: n.Occasions,
		Correction: correction, Reason: reason}
}

// Decide returns the publication, nothing if what is in force says the same. On a stream that has none, what is in
// force without being in the log comes first, so that the log alone says what applied when.
//
// It returns a [*rule.Refusal] to everybody but an operator of the city's own unit, and for what can not be put in force.
func Decide(p Published, c Command, at rule.At) ([]Event, error) {
	if err := keeps(at); err != nil {
		return nil, err
	}
	var first []Event
	notices, deadlines, escalations := Founding(InForce{at.Clocks, at.Escalation})
	switch c.(type) {
	case PublishNotice:
		if p.Calendar == nil {
			first = notices
		}
	case PublishDeadlines:
		if p.Deadlines == nil {
			first = deadlines
		}
	case PublishEscalation:
		if p.Escalation == nil {
			first = escalations
		}
	}
	for _, e := range first {
		p = Evolve(p, e)
	}
	e, err := c.decide(p, at)
	if err != nil {
		return nil, err
	}
	if said, ok := e.(interface{ reason() sealed.Public }); ok && sealed.LooksPersonal(string(said.reason())) {
		return nil, rule.Refuse(rule.GuardFailed, "I3", "理由公开，不得含有手机号或身份证号", "the reason is public and must not hold a phone or identity number")
	}
	if e != nil {
		first = append(first, e)
	}
	return first, nil
}

// keeps refuses everybody but an operator of the unit that all others lie in.
func keeps(at rule.At) error {
	if at.Actor.Role == orgs.System {
		return nil
	}
	if at.Actor.Role != orgs.Operator {
		return rule.Refuse(rule.RoleMissing, "I3", "工作日历和政策由市级系统运维人员发布", "calendar and policies are published by an operator of the city")
	}
	if u, known := at.Units.Unit(at.Actor.Unit); !known || u.Parent != "" {
		return rule.Refuse(rule.OutsideJuris, "I3", "工作日历和政策适用于全市，只能由市级发布", "calendar and policies hold for the whole city: its own unit publishes them")
	}
	return nil
}

func wrong(id, zh string, err error) *rule.Refusal {
	return rule.Refuse(rule.GuardFailed, id, zh+"："+err.Error(), err.Error())
}

func (c PublishNotice) decide(p Published, _ rule.At) (Event, error) {
	now := p.Calendar
	if now == nil {
		now, _ = calendar.New()
	}
	n := c.Notice
	next, err := now.With(n)
	if err == nil {
		err = soundNotice(n)
	}
	if err != nil {
		return nil, wrong("R24", "放假通知有误", err)
	}
	if r := likely(now, n); r != nil {
		return nil, r
	}
	correction := slices.Contains(now.Years(), n.Year)
	switch {
	case correction && repeats(now, next, n):
		return nil, nil
	case correction && strings.TrimSpace(string(c.Reason)) == "":
		return nil, rule.Refuse(rule.GuardFailed, "R24", fmt.Sprintf("%d 年已有放假通知，更正须说明理由", n.Year),
			fmt.Sprintf("there is a notice for %d already: a correction needs a reason", n.Year))
	}
	return published(n, next.Version(), correction, c.Reason), nil
}

// repeats reports whether a notice says what the last one about its year said, and what still holds.
func repeats(now, next *calendar.Calendar, n calendar.Notice) bool {
	var last calendar.Notice
	for _, had := range now.Notices() {
		if had.Year == n.Year {
			last = had
		}
	}
	same := last.Source == n.Source && slices.Equal(last.Off, n.Off) && slices.Equal(last.Work, n.Work) && slices.Equal(last.Occasions, n.Occasions)
	return same && !slices.ContainsFunc(slices.Concat(n.Off, n.Work), func(d calendar.Date) bool { return now.IsWorkday(d) != next.IsWorkday(d) })
}

// soundNotice refuses texts that do not belong into a public record.
func soundNotice(n calendar.Notice) error {
	switch {
	case n.Source == "" || len(n.Source) > 500 || sealed.LooksPersonal(n.Source) || strings.ContainsFunc(n.Source, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("%w: the source: want the address of the notice, at most 500 characters", calendar.ErrNotice)
	case len(n.Off)+len(n.Work) > 366 || len(n.Occasions) > 366:
		return fmt.Errorf("%w: more than a year of days", calendar.ErrNotice)
	}
	for _, o := range n.Occasions {
		if !word(o.Name) {
			return fmt.Errorf("%w: an occasion has at most 20 characters and no numbers of persons", calendar.ErrNotice)
		}
	}
	return nil
}

// Bounds of what a notice can mean. No notice of 2017 to 2026 takes more than 19 weekdays off, or names a day more than 3 days outside its year.
const (
	maxHolidays = 40 // weekdays off
	maxOutside  = 15 // days before and after the year
)

// likely refuses a notice that says what no notice says: it would move every due instant of the city.
func likely(now *calendar.Calendar, n calendar.Notice) *rule.Refusal {
	no := func(zh, en string) *rule.Refusal {
		return rule.Refuse(rule.GuardFailed, "R24", "放假通知有误："+zh, en)
	}
	first := calendar.DateOf(time.Date(n.Year, 1, 1, 0, 0, 0, 0, calendar.Zone()))
	last := calendar.DateOf(time.Date(n.Year, 12, 31, 0, 0, 0, 0, calendar.Zone()))
	weekend := func(d calendar.Date) bool { return d.Weekday() == time.Saturday || d.Weekday() == time.Sunday }
	holidays := 0
	for _, d := range n.Off {
		if !weekend(d) {
			holidays++
		}
	}
	for _, d := range slices.Concat(n.Off, n.Work) {
		if d < first-maxOutside || d > last+maxOutside {
			return no(fmt.Sprintf("%s 不在 %d 年", d, n.Year), fmt.Sprintf("%s does not lie in %d", d, n.Year))
		}
	}
	for _, d := range n.Work {
		// A correction may take a holiday back, and a notice may say that work begins again behind one, as that of 2020 does of 3 February.
		if !weekend(d) && now.IsWorkday(d) && !slices.Contains(n.Off, d-1) {
			return no(fmt.Sprintf("%s 是周一至周五，本就上班，不能列为调休上班日", d), fmt.Sprintf("%s is a Monday to Friday, and no make-up workday", d))
		}
	}
	if holidays > maxHolidays {
		return no(fmt.Sprintf("周一至周五放假 %d 天，超过 %d 天", holidays, maxHolidays), fmt.Sprintf("%d weekdays are off, more than %d", holidays, maxHolidays))
	}
	return nil
}

// word reports whether a text may be a name in a policy: short, and no phone or identity number.
func word(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= 20 && !sealed.LooksPersonal(s)
}

// successor checks name and version that a policy was handed in with.
func successor(id, had, name string, inForce, version int) error {
	switch {
	case name != "" && name != had:
		return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("现行政策名为 %q", had), fmt.Sprintf("the policy in force is named %q", had))
	case version != 0 && version != inForce:
		return rule.Refuse(rule.GuardFailed, id, fmt.Sprintf("该稿基于第 %d 版，现行为第 %d 版", version, inForce),
			fmt.Sprintf("this was edited from version %d; version %d is in force", version, inForce))
	}
	return nil
}

// changed refuses a change that nobody gives a reason for.
func changed(id string, reason sealed.Public) error {
	if strings.TrimSpace(string(reason)) == "" {
		return rule.Refuse(rule.GuardFailed, id, "须说明修改理由", "a change needs a reason")
	}
	return nil
}

func (c PublishDeadlines) decide(p Published, _ rule.At) (Event, error) {
	now := p.deadlines()
	if err := successor("I3", now.Name, c.Policy.Name, now.Version, c.Policy.Version); err != nil {
		return nil, err
	}
	next := c.Policy.Policy()
	next.Name, next.Version = now.Name, now.Version+1
	if len(next.HandleByKind) == 0 {
		next.HandleByKind = nil // as the codec reads none
	}
	err := next.Validate()
	if twice := c.Policy.doubled(); err == nil && twice != "" {
		err = fmt.Errorf("%w: %q is given twice", calendar.ErrPolicy, twice)
	}
	for _, r := range slices.Concat(next.Rows, next.HandleByKind) {
		if err == nil && (!word(r.Kind) || !word(r.Urgency)) {
			err = fmt.Errorf("%w: kind %q, urgency %q: want short words", calendar.ErrPolicy, r.Kind, r.Urgency)
		}
	}
	if err != nil {
		return nil, wrong("I3", "时限政策有误", err)
	}
	t := Written(next)
	same := t
	same.Version = now.Version
	if reflect.DeepEqual(same, Written(now)) {
		return nil, nil
	}
	return DeadlinesPublished{Policy: t, Reason: c.Reason}, changed("I3", c.Reason)
}

// ladders refuses levels of districts that do not exist, and ladders on which nothing can rise.
func ladders(p escalation.Policy, units *orgs.Tree) *rule.Refusal {
	if len(p.Levels) < 2 {
		return rule.Refuse(rule.GuardFailed, "E1", "升级层级至少两级", "a ladder has at least two levels")
	}
	for _, d := range p.Districts {
		u, known := units.Unit(d.District)
		switch {
		case !known || u.Closed:
			return rule.Refuse(rule.GuardFailed, "E1", fmt.Sprintf("区县旗 %s 不存在或已撤销", d.District), fmt.Sprintf("the district %s does not exist or is closed", d.District))
		case u.Kind != orgs.District:
			return rule.Refuse(rule.GuardFailed, "E1", fmt.Sprintf("%s（%s）不是区县旗", d.District, u.Name), fmt.Sprintf("%s (%s) is no district", d.District, u.Name))
		case len(d.Levels) < 2:
			return rule.Refuse(rule.GuardFailed, "E1", fmt.Sprintf("%s 的升级层级至少两级", d.District), fmt.Sprintf("the ladder of %s has at least two levels", d.District))
		}
	}
	return nil
}

func (c PublishEscalation) decide(p Published, at rule.At) (Event, error) {
	now := p.escalation()
	if err := successor("E1", now.Name, c.Policy.Name, now.Version, c.Policy.Version); err != nil {
		return nil, err
	}
	next := c.Policy
	next.Name, next.Version = now.Name, now.Version+1
	if len(next.Districts) == 0 {
		next.Districts = nil // as the codec reads none
	}
	err := next.Validate()
	levels := slices.Clone(next.Levels)
	for _, d := range next.Districts {
		levels = append(levels, d.Levels...)
	}
	for _, l := range levels {
		if err == nil && (!word(l.Zh) || !word(l.En)) {
			err = fmt.Errorf("%w: level %d: a name has at most 20 characters and no numbers of persons", escalation.ErrPolicy, l.Level)
		}
	}
	for _, s := range next.Steps {
		if err == nil && !slices.Contains([]string{"A", "B", "C", "D"}, s.Urgency) {
			err = fmt.Errorf("%w: steps: no urgency %q", escalation.ErrPolicy, s.Urgency)
		}
	}
	if err != nil {
		return nil, wrong("E1", "升级政策有误", err)
	}
	if r := ladders(next, at.Units); r != nil {
		return nil, r
	}
	same := next
	same.Version = now.Version
	if reflect.DeepEqual(same, *now) {
		return nil, nil
	}
	return EscalationPublished{Policy: next, Reason: c.Reason}, changed("E1", c.Reason)
}
