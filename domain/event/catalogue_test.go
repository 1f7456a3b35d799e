package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/admission"
	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

var newFixtures = flag.Bool("new-fixtures", false, "write the fixtures and the name of every event type that has none")

// fixture is one stored event as the log holds it, byte for byte.
type fixture struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
	Meta json.RawMessage `json:"meta"`
}

const (
	fixtureDir = "testdata/events"
	released   = "testdata/released.txt" // every name that was ever stored; it only grows
)

func fixtures(t *testing.T) map[string]fixture {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtureDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]fixture{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var f fixture
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		// A later fixture of a type, with members that were added since, is called <type>.2.json.
		if name, _, _ := strings.Cut(filepath.Base(path), "."); name != strings.ReplaceAll(f.Type, "/", "@") {
			t.Errorf("%s holds an event of type %s", path, f.Type)
		}
		all[path] = f
	}
	return all
}

func TestStoredEventsAreReadAndWrittenByteForByte(t *testing.T) {
	if *newFixtures {
		writeMissing(t)
	}
	all := fixtures(t)
	seen := map[string]map[string]bool{} // type → members that some fixture fills
	for path, f := range all {
		body, err := event.Decode(f.Type, f.Data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if _, unknown := body.(event.Unknown); unknown {
			t.Errorf("%s: the catalogue does not know %s any more", path, f.Type)
			continue
		}
		if got, err := event.Encode(body); err != nil || !bytes.Equal(got, f.Data) {
			t.Errorf("%s: data encodes to\n%s, %v, want\n%s", path, got, err, f.Data)
		}
		meta, err := event.DecodeMeta(f.Meta)
		if got := event.EncodeMeta(meta); err != nil || !bytes.Equal(got, f.Meta) {
			t.Errorf("%s: metadata encodes to\n%s, %v, want\n%s", path, got, err, f.Meta)
		}
		if seen[f.Type] == nil {
			seen[f.Type] = map[string]bool{}
		}
		filled(reflect.ValueOf(body), "", seen[f.Type])
	}
	for typ := range event.Types() {
		if seen[typ] == nil {
			t.Errorf("%s has no fixture: run go test ./domain/event -new-fixtures", typ)
			continue
		}
		example, _ := event.Example(typ)
		for _, m := range members(reflect.TypeOf(example), "") {
			if !seen[typ][m.path] {
				t.Errorf("no fixture of %s has the member %s", typ, m.path)
			}
		}
	}
}

func TestNoReleasedNameIsForgotten(t *testing.T) {
	text, err := os.ReadFile(released)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(text))
	if !slices.IsSorted(names) || len(names) < 105 {
		t.Errorf("%s: %d names, want at least the first 105, sorted", released, len(names))
	}
	if got := slices.Collect(event.Types()); !slices.Equal(got, names) {
		t.Errorf("catalogue and %s differ:\n%v\n%v", released, got, names)
	}
}

// writeMissing adds fixtures and names; it never changes one that is there. A type that has members which none of its
// fixtures fills gets a further one.
func writeMissing(t *testing.T) {
	for typ := range event.Types() {
		path, lacks := nextFixture(t, typ)
		if !lacks {
			continue
		}
		data, err := event.Encode(example(t, typ))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		b.WriteString("{\n\"type\": \"" + typ + "\",\n\"data\": ")
		b.Write(data)
		b.WriteString(",\n\"meta\": ")
		b.Write(event.EncodeMeta(fullMeta()))
		b.WriteString("\n}\n")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names := strings.Join(slices.Collect(event.Types()), "\n") + "\n"
	if err := os.WriteFile(released, []byte(names), 0o644); err != nil {
		t.Fatal(err)
	}
}

// nextFixture returns where the next fixture of a type belongs, and whether one is needed.
func nextFixture(t *testing.T, typ string) (path string, lacks bool) {
	seen := map[string]bool{}
	name := filepath.Join(fixtureDir, strings.ReplaceAll(typ, "/", "@"))
	for n := 1; ; n++ {
		path = name + ".json"
		if n > 1 {
			path = fmt.Sprintf("%s.%d.json", name, n)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			break
		}
		var f fixture
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		body, err := event.Decode(f.Type, f.Data)
		if err != nil {
			t.Fatal(err)
		}
		filled(reflect.ValueOf(body), "", seen)
	}
	body, _ := event.Example(typ)
	for _, m := range members(reflect.TypeOf(body), "") {
		lacks = lacks || !seen[m.path]
	}
	return path, lacks || path == name+".json"
}

// fullMeta is metadata with every member set.
func fullMeta() event.Meta {
	return event.Meta{Salt: [16]byte{1, 2, 3, 15: 16}, Actor: "k-17", Role: orgs.Clerk, Unit: "150105003001",
		Second: &rule.Actor{ID: "k-18", Role: orgs.CommunitySecretary, Unit: "150105003001"}, Key: "0190-a7", Index: 2,
		Digest: "q83vEjRWeJA", Correlation: oneID, Causation: oneID, Occurred: moment, Recorded: moment.Add(time.Second),
		Stage: "topic", Schema: 1, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Program: "v1.2.3"}
}

// example returns a type with every member set.
func example(t testing.TB, typ string) event.Body {
	body, known := event.Example(typ)
	if !known {
		t.Fatalf("%s is not in the catalogue", typ)
	}
	v := reflect.New(reflect.TypeOf(body)).Elem()
	fill(v)
	return v.Interface().(event.Body)
}

var (
	moment   = time.Date(2025, 3, 4, 1, 2, 3, 456e6, time.UTC)
	oneID    = stream.Derive("example", "1")
	examples = map[reflect.Type]any{
		reflect.TypeFor[sealed.Text]():        sealed.Cipher(sealed.Prefix + "a256gcm.AAECAwQFBgcICQoL.AAAAAAAAAAAAAAAA"),
		reflect.TypeFor[sealed.Public]():      sealed.Public("公开的文字 <a> & \"b\""),
		reflect.TypeFor[time.Time]():          moment,
		reflect.TypeFor[stream.ID]():          oneID,
		reflect.TypeFor[stream.Name]():        stream.Of(stream.Order, oneID),
		reflect.TypeFor[orgs.UnitCode]():      orgs.UnitCode("150105003001"),
		reflect.TypeFor[orgs.GridCode]():      orgs.GridCode("150105003001001"),
		reflect.TypeFor[calendar.Date]():      calendar.DateOf(moment),
		reflect.TypeFor[calendar.Clock]():     calendar.Handle,
		reflect.TypeFor[demand.Kind]():        demand.Issue,
		reflect.TypeFor[demand.Urgency]():     demand.Urgency("C"),
		reflect.TypeFor[demand.Channel]():     demand.Channel("wechat"),
		reflect.TypeFor[orgs.Kind]():          orgs.Community,
		reflect.TypeFor[orgs.Role]():          orgs.Clerk,
		reflect.TypeFor[topic.Format]():       topic.Format("council"),
		reflect.TypeFor[dispute.Target]():     dispute.Court,
		reflect.TypeFor[demand.Outcome]():     demand.Resolved,
		reflect.TypeFor[orgs.Duty]():          orgs.DutyLead,
		reflect.TypeFor[whistle.Class]():      whistle.Urgent,
		reflect.TypeFor[whistle.Standing]():   whistle.Late,
		reflect.TypeFor[calendar.Kind]():      calendar.WorkingDays,
		reflect.TypeFor[json.RawMessage]():    json.RawMessage(`{}`),
		reflect.TypeFor[orgs.BlockCode]():     orgs.BlockCode("b03/2"),
		reflect.TypeFor[duty.List]():          duty.NoCertificate,
		reflect.TypeFor[duty.Role]():          duty.Assist,
		reflect.TypeFor[duty.Unlisted]():      duty.BlockUnlisted,
		reflect.TypeFor[duty.NegativeGrant](): duty.GrantAssists,
		reflect.TypeFor[calendar.Amount]():    calendar.Amount{N: 3, Kind: calendar.WorkingDays},
		reflect.TypeFor[assessment.Cycle]():   assessment.Monthly,
		reflect.TypeFor[assessment.Decimal](): assessment.Decimal(25000),
		reflect.TypeFor[assessment.Shape]():   assessment.Banded,
		reflect.TypeFor[assessment.Step]():    assessment.Prorated,
		reflect.TypeFor[assessment.Reason]():  assessment.ForceMajeure,
		reflect.TypeFor[assessment.Name]():    assessment.Aggregate,
		reflect.TypeFor[assessment.Verdict](): assessment.LeftOut,
		reflect.TypeFor[period.Cause]():       period.Correction,
	}
)

func fill(v reflect.Value) {
	if x, special := examples[v.Type()]; special {
		v.Set(reflect.ValueOf(x))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i))
		}
	case reflect.Map: // of texts by text
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(k)
		fill(e)
		v.SetMapIndex(k, e)
	case reflect.String:
		v.SetString("word")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	default:
		panic("an event has a member of kind " + v.Kind().String())
	}
}

// member is one leaf of an event's JSON.
type member struct {
	path string // as in JSON, "[]" for the elements of a list
	part string // of the nearest tag
	typ  reflect.Type
}

// members lists the leaves of a type.
func members(t reflect.Type, prefix string) []member { return walk(nil, t, prefix, "") }

func walk(ms []member, t reflect.Type, path, part string) []member {
	_, leaf := examples[t]
	switch {
	case leaf:
		return append(ms, member{path, part, t})
	case t.Kind() == reflect.Struct:
		for f := range fieldsOf(t) {
			p := part
			if tag := f.Tag.Get("part"); tag != "" {
				p = tag
			}
			ms = walk(ms, f.Type, path+"."+jsonName(f), p)
		}
		return ms
	case t.Kind() == reflect.Pointer:
		return walk(ms, t.Elem(), path, part)
	case t.Kind() == reflect.Slice:
		return walk(ms, t.Elem(), path+"[]", part)
	case t.Kind() == reflect.Map:
		return walk(walk(ms, t.Key(), path+"{}", part), t.Elem(), path+"[]", part)
	}
	return append(ms, member{path, part, t})
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// filled notes the leaves of a value that are not zero.
func filled(v reflect.Value, path string, seen map[string]bool) {
	_, leaf := examples[v.Type()]
	switch {
	case !leaf && v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i), path+"."+jsonName(v.Type().Field(i)), seen)
		}
	case !leaf && v.Kind() == reflect.Pointer && !v.IsNil():
		filled(v.Elem(), path, seen)
	case !leaf && v.Kind() == reflect.Slice:
		for i := range v.Len() {
			filled(v.Index(i), path+"[]", seen)
		}
	case !leaf && v.Kind() == reflect.Map:
		for _, k := range v.MapKeys() {
			filled(k, path+"{}", seen)
			filled(v.MapIndex(k), path+"[]", seen)
		}
	case !v.IsZero():
		seen[path] = true
	}
}

func TestEveryMemberOfAnEventHasAName(t *testing.T) {
	for typ := range event.Types() {
		body, _ := event.Example(typ)
		for _, m := range members(reflect.TypeOf(body), "") {
			if strings.Contains(m.path+".", "..") || strings.Contains(m.path, "-") {
				t.Errorf("%s%s: want a json tag, snake case", typ, m.path)
			}
		}
	}
}

// A name in the log belongs to one machine (rule M3).
func TestEveryEventBelongsToOneMachine(t *testing.T) {
	owner := map[string]string{}
	claim := func(machine, name string) {
		if had, taken := owner[name]; taken && had != machine {
			t.Errorf("%s belongs to %s and to %s", name, had, machine)
		}
		owner[name] = machine
	}
	claims(demand.Machine, claim)
	claims(topic.Machine, claim)
	claims(order.Machine, claim)
	claims(dispute.Machine, claim)
	claims(whistle.Machine, claim)
	claims(admission.Machine, claim)
	claims(scheme.Machine, claim)
	claims(period.Machine, claim)
	claims(evaluation.Machine, claim)
	decided := 0
	for typ := range event.Types() {
		name, version, _ := strings.Cut(typ, "/")
		if version == "" || strings.Trim(version, "0123456789") != "" || strings.ToLower(name) != name {
			t.Errorf("%q is not <aggregate>-<past tense>/<version>", typ)
		}
		body, _ := event.Example(typ)
		pkg := reflect.TypeOf(body).PkgPath()
		if machine, claimed := owner[name]; claimed {
			decided++
			if pkg != "gridcase/domain/"+machine {
				t.Errorf("%s is an event of %s in the table of %s", typ, pkg, machine)
			}
			delete(owner, name)
		}
	}
	if len(owner) > 0 {
		t.Errorf("the tables speak of events that the catalogue does not know: %v", owner)
	}
	if decided < 80 {
		t.Errorf("only %d events are decided by a machine", decided)
	}
}

func claims[S ~string](m rule.Machine[S], claim func(machine, name string)) {
	for _, r := range m.Rows {
		claim(m.Name, r.Event)
	}
	for _, n := range m.Notes {
		claim(m.Name, n.Event)
	}
}

// Personal data is sealed and says whose it is, so that it can be erased alone (rule I14).
func TestEverySealedTextSaysWhoseItIs(t *testing.T) {
	texts := 0
	for typ := range event.Types() {
		body, _ := event.Example(typ)
		for _, m := range members(reflect.TypeOf(body), "") {
			if m.typ != reflect.TypeFor[sealed.Text]() {
				continue
			}
			texts++
			if m.part == "" {
				t.Errorf("%s%s has no part", typ, m.path)
			}
		}
	}
	if texts < 20 {
		t.Errorf("only %d sealed texts found", texts)
	}
}

func TestPlainStringsOfEventsHoldNoPersonalData(t *testing.T) {
	used := map[string]bool{}
	for typ := range event.Types() {
		body, _ := event.Example(typ)
		for _, m := range members(reflect.TypeOf(body), "") {
			if m.typ != reflect.TypeFor[string]() {
				continue
			}
			at := typ + m.path
			if _, due := dueMembers[m.path[strings.LastIndex(m.path, ".")+1:]]; due && inDue(reflect.TypeOf(body), m.path) {
				continue
			}
			used[at] = true
			if plain[at] == "" {
				t.Errorf("%q: \"\", // a plain string: seal it, declare it public, or say why it can hold no personal data", at)
			}
		}
	}
	for at := range plain {
		if !used[at] {
			t.Errorf("%s is listed and is no plain string of an event", at)
		}
	}
}

// dueMembers are the plain strings of a due instant, which our own code computes.
var dueMembers = map[string]string{
	"id":       "<clock>/<round>/<leg>/<n>, made by the rules",
	"policy":   "name of the policy in force",
	"calendar": "version of the calendar in force",
}

// inDue reports whether the member at a path lies in a due instant.
func inDue(t reflect.Type, path string) bool {
	parts := strings.Split(strings.Trim(strings.ReplaceAll(path, "[]", ""), "."), ".")
	for _, part := range parts[:len(parts)-1] {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		for f := range fieldsOf(t) {
			if jsonName(f) == part {
				t = f.Type
				break
			}
		}
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t == reflect.TypeFor[calendar.Due]()
}

// plain lists the plain strings of events, each with why it can hold no personal data.
var plain = reasons(map[string][]string{
	"a word from a closed list, checked by the rules before it is decided": {
		"callback-waived/1.cause", "contact-not-required/1.cause", "deliberation-held/1.attendees[].capacity",
		"handling-reported/1.outcome", "order-added-to-topic/1.item.urgency", "order-cancelled/1.cause",
		"order-closed/1.cause", "order-dispatched/1.kind", "order-dispatched/1.urgency", "order-reopened/1.cause",
		"order-suspended/1.reason", "resident-contacted/1.means", "rework-ordered/1.cause",
		"topic-adopted/1.items[].urgency", "topic-handed-to-grid/1.items[].urgency", "topic-proposed/1.source",
		"verification-failed/1.method", "verification-passed/1.method", "verification-passed/1.outcome",
	},
	"a word that the program itself writes": {
		"period-clock-expired/1.id", "period-warning-raised/1.id", "period-sealed/1.program", "revision-sealed/1.program", "figures-recorded/1.figures[].n", "figures-recorded/1.figures[].d", "figures-recorded/1.figures[].was.n", "figures-recorded/1.figures[].was.d", "figures-recorded/1.figures[].name", "figures-recorded/1.figures[].printed", "figures-recorded/1.figures[].was.printed",
		"admission-deadline-recomputed/1.replaces", "deadline-recomputed/1.replaces", "demand-deadline-recomputed/1.replaces",
		"dispute-deadline-recomputed/1.replaces", "topic-deadline-recomputed/1.replaces", "whistle-deadline-recomputed/1.replaces", "demand-answered-on-the-spot/1.waiver", "demand-answered/1.from.type",
		"demand-progress-noted/1.from.type", "demand-progress-noted/1.state", "demand-returned-to-pool/1.cause",
		"log-opened/1.origin", "log-opened/1.prefix", "log-opened/1.service_vkey", "node-checked-in/1.program", "numbers-reserved/1.day",
		"personal-data-read/1.fields[]", "personal-data-read/1.streams[]", "problem-order-flagged/1.cause",
		"demand-clock-expired/1.id", "demand-escalated/1.id", "demand-escalated/1.rule", "demand-warning-raised/1.id",
		"dispute-clock-expired/1.id", "dispute-escalated/1.id", "dispute-escalated/1.rule", "dispute-warning-raised/1.id",
		"admission-clock-expired/1.id", "admission-escalated/1.id", "admission-escalated/1.rule", "admission-expired/1.id",
		"admission-warning-raised/1.id", "dispatch-blocked/1.command",
		"order-clock-expired/1.id", "order-escalated/1.id", "order-escalated/1.rule", "order-warning-raised/1.id",
		"topic-clock-expired/1.id", "topic-escalated/1.id", "topic-escalated/1.rule", "topic-warning-raised/1.id",
		"unit-absent/1.id", "whistle-warning-raised/1.id",
		"role-revoked/1.reason", "verify-salt-committed/1.month", "verify-salt-revealed/1.month",
	},
	"a word of a policy or notice that holds for the whole city: short, checked by the rules, and no number of a person": {
		"calendar-published/1.occasions[].name", "deadline-policy-published/1.policy.handle_by_kind[].kind",
		"deadline-policy-published/1.policy.handle_by_kind[].urgency", "deadline-policy-published/1.policy.rows[].kind",
		"deadline-policy-published/1.policy.rows[].urgency", "escalation-policy-published/1.policy.districts[].levels[].en",
		"escalation-policy-published/1.policy.districts[].levels[].zh", "escalation-policy-published/1.policy.levels[].en",
		"escalation-policy-published/1.policy.levels[].zh", "escalation-policy-published/1.policy.steps[].urgency",
	},
	"a word of a scheme, which is public: checked by the rules, and no number of a person": {
		"scheme-drafted/1.scheme.name", "scheme-drafted/1.scheme.basis", "scheme-drafted/1.scheme.form[].code", "scheme-drafted/1.scheme.form[].name", "scheme-drafted/1.scheme.choices[]", "scheme-amended/1.scheme.name", "scheme-amended/1.scheme.basis", "scheme-amended/1.scheme.form[].code", "scheme-amended/1.scheme.form[].name", "scheme-amended/1.scheme.choices[]",
		"evaluation-submitted/1.items[].code",
	},
	"the address of a public notice: no space, and no number of a person, checked by the rules": {
		"calendar-published/1.source",
	},
	"a number or code that the program gives out": {
		"period-opened/1.policy", "period-sealed/1.policy", "period-sealed/1.calendar",
		"calendar-published/1.version", "deadline-policy-published/1.policy.name", "escalation-policy-published/1.policy.name",
		"demand-raised/1.number", "order-dispatched/1.number", "personal-data-read/1.request",
		"topic-proposed/1.number",
	},
	"a hash, or random bytes": {
		"scheme-published/1.hash", "period-opened/1.hash", "period-sealed/1.hash", "period-sealed/1.root", "period-sealed/1.results", "period-sealed/1.cohort", "revision-sealed/1.root", "revision-sealed/1.results", "revision-sealed/1.cohort", "provisional-published/1.results", "provisional-published/1.cohort", "figures-recorded/1.results", "other-score-imported/1.document",
		"deliberation-held/1.minutes", "demand-answered-on-the-spot/1.agreement",
		"demand-raised/1.attachments[].hash", "demand-raised/1.tracking",
		"demand-supplemented/1.attachments[].hash", "handling-reported/1.evidence[]",
		"mediation-succeeded/1.agreement", "verify-salt-committed/1.hash", "verify-salt-revealed/1.salt",
		"vote-closed/1.ballots",
	},
	"a code of the catalogue of matters": {
		"demand-accepted/1.matter", "demand-answered-on-the-spot/1.matter", "demand-raised/1.matter",
		"demand-reclassified/1.matter", "demand-split/1.children[].matter", "order-added-to-topic/1.item.matter",
		"order-dispatched/1.matter", "topic-adopted/1.items[].matter", "topic-handed-to-grid/1.items[].matter",
		"topic-proposed/1.matter", "admission-requested/1.matter", "dispatch-blocked/1.matter", "duty-list-published/1.items[].matter",
	},
	"an opaque id of an account, never a name": {
		"acting-worker-appointed/1.worker", "dispute-opened/1.parties[].actor", "grid-worker-appointed/1.worker",
		"grid-worker-relieved/1.worker", "order-reassigned/1.worker", "personal-data-read/1.actor",
	},
	"an opaque code of an organisation, and the rules refuse what is no code": {
		"grid-party-groups-set/1.groups[]",
	},
	"a code of a household at its stairwell: a household has no members here, and the rules refuse what is no code": {
		"topic-supported/1.household",
	},
	"the name of an organisation or a grid": {
		"grid-drawn/1.name", "unit-opened/1.name", "unit-renamed/1.name",
	},
	"a code of a thing in the list of resources": {
		"result-published/1.resources[]", "topic-adopted/1.resources[]",
	},
	"a media type": {
		"demand-raised/1.attachments[].type", "demand-supplemented/1.attachments[].type",
	},
	"the number under which another office filed the case: it names a file, not a person": {
		"demand-raised/1.external_ref", "demand-redirected/1.receipt", "dispute-referred-out/1.receipt",
	},
	"a word of the form, from a list of the interface": {
		"callback-attempted/1.means", "demand-detached/1.cause", "demand-withdrawn/1.confirmed",
		"personal-data-read/1.purpose",
	},
})

func reasons(members map[string][]string) map[string]string {
	why := map[string]string{}
	for reason, paths := range members {
		for _, p := range paths {
			why[p] = reason
		}
	}
	return why
}
