package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/sealed"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/engine"
)

func TestCoordinatesComeBackToWGS84(t *testing.T) {
	for _, c := range []struct{ wgs, gcj point }{ // published pairs, and one of ours for Hohhot
		{point{31.1774276, 121.5272106}, point{31.17530398364597, 121.531541859215}},
		{point{39.911954, 116.377817}, point{39.91334545536069, 116.38404722455657}},
		{point{40.8426, 111.749}, point{40.84404723, 111.75591802}},
	} {
		if got := c.wgs.toGCJ(); math.Abs(got.lat-c.gcj.lat) > 1e-8 || math.Abs(got.lon-c.gcj.lon) > 1e-8 {
			t.Errorf("%v to GCJ-02: got %v, want %v", c.wgs, got, c.gcj)
		}
		for crs, p := range map[string]point{"": c.wgs, "wgs84": c.wgs, "gcj02": c.wgs.toGCJ(), "bd09": c.wgs.toGCJ().toBD()} {
			if got := p.toWGS(crs); math.Abs(got.lat-c.wgs.lat) > 1e-9 || math.Abs(got.lon-c.wgs.lon) > 1e-9 {
				t.Errorf("%v from %q: got %v, want %v", p, crs, got, c.wgs)
			}
		}
	}
	if p := (point{51.5, -0.12}); p.toGCJ() != p {
		t.Errorf("London is shifted to %v", p.toGCJ())
	}
	if got := (point{40.8426, 111.749}).String(); got != "408426000,1117490000" {
		t.Errorf("stored as %q", got)
	}
}

func TestTheWordsInTheTagsAreThoseOfTheRules(t *testing.T) {
	words := map[reflect.Type][]string{}
	gather(words, demand.Kinds())
	gather(words, demand.Urgencies())
	gather(words, demand.Channels())
	gather(words, demand.Reasons())
	gather(words, demand.Outcomes())
	gather(words, demand.DeclineReasons())
	gather(words, topic.Formats())
	gather(words, []topic.Kind{topic.Ordinary, topic.MicroProject})
	gather(words, dispute.Targets())
	gather(words, whistle.Classes())
	gather(words, []orgs.Duty{orgs.DutyLead, orgs.DutyAssistant})
	checked := 0
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || ty == timeType {
			return
		}
		for i := range ty.NumField() {
			f := ty.Field(i)
			if want, listed := words[f.Type]; listed {
				checked++
				if got := strings.Split(f.Tag.Get("enum"), ","); !slices.Equal(got, want) {
					t.Errorf("%s.%s lets %v through, the rules know %v", ty, f.Name, got, want)
				}
			}
			walk(f.Type)
		}
	}
	for _, b := range []any{raiseBody{}, acceptBody{}, answerOnTheSpotBody{}, declineBody{}, fastTrackBody{}, reclassifyBody{}, splitBody{},
		proposeBody{}, openDeliberationBody{}, holdDeliberationBody{}, referOutBody{}, blowBody{}, appointGridWorkerBody{}} {
		walk(reflect.TypeOf(b))
	}
	if checked < 17 {
		t.Errorf("only %d members were compared", checked)
	}
	if got := strings.Join(order.Outcomes(), ","); got != reflect.TypeFor[reportHandlingBody]().Field(1).Tag.Get("enum") {
		t.Errorf("outcomes of an order: %s", got)
	}
	if got := strings.Join(order.SuspensionReasons(), ","); got != reflect.TypeFor[suspendBody]().Field(1).Tag.Get("enum") {
		t.Errorf("reasons to suspend: %s", got)
	}
}

func gather[T ~string](into map[reflect.Type][]string, ws []T) {
	for _, w := range ws {
		into[reflect.TypeFor[T]()] = append(into[reflect.TypeFor[T]()], string(w))
	}
}

func TestFreeTextIsTrimmedAndComposedAndCodesAreLeftAlone(t *testing.T) {
	var b struct {
		Note personal `json:"note" maxLength:"3" long:"true"`
		Code string   `json:"code,omitempty" format:"token"`
		At   string   `json:"at,omitempty" enum:"x"`
	}
	if err := shapeOf(reflect.TypeOf(b), "").decode([]byte("{\"note\":\" e\u0301\\r\\n\\u4e00 \\n\"}"), &b, nil); err != nil || string(b.Note) != "é\n一" {
		t.Errorf("got %q, %v", string(b.Note), err)
	}
	err := shapeOf(reflect.TypeOf(b), "").decode([]byte(`{"note":"\ud83d\ude00\"\\\/","at":" x"}`), &b, nil)
	p := asProblem(err)
	if len(p.Errors) != 2 || p.Errors[0].Code != "too_long" || p.Errors[1].Location != "body.at" {
		t.Errorf("got %+v", p.Errors)
	}
}

func TestWhatIsTooLargeToRecordIsSaidSo(t *testing.T) {
	p := asProblem(fmt.Errorf("decide: %w", &engine.LargeError{Command: "publish", Size: 300 << 10}))
	if p.Status != 413 || p.Code != "event_too_large" || !strings.Contains(p.in(false, "").Detail, "publish records has 300 KiB") || !strings.Contains(p.in(true, "").Detail, "300 KiB") {
		t.Errorf("got %+v", p)
	}
}

func TestViewsThatAreBehindAreSaidSo(t *testing.T) {
	p := asProblem(fmt.Errorf("at 3 of 5: %w", ErrBehind))
	if p.Status != 503 || p.header.Get("Retry-After") == "" || !strings.Contains(p.in(false, "").Detail, "have not come to the end of the log") || !strings.Contains(p.in(true, "").Detail, "尚未处理到日志末尾") {
		t.Errorf("got %+v", p)
	}
}

// FuzzDecode: what the decoder takes is JSON for the standard library too, with the same meaning; and it ends.
func FuzzDecode(f *testing.F) {
	type nested struct {
		N    int          `json:"n,omitempty"`
		F    float64      `json:"f,omitempty"`
		T    string       `json:"t,omitempty" format:"none"`
		Bs   []bool       `json:"bs,omitempty"`
		In   *nestedInner `json:"in,omitempty"`
		When time.Time    `json:"when,omitzero"`
	}
	of := shapeFor[nested]()
	for _, seed := range []string{`{}`, `{"n":1,"f":-2.5e3,"t":"é\n\u00e9\ud83d\ude00","bs":[true,false],"in":{"x":"y"}}`, `{"n":1,}`, `[`, `{"t":"\ud800"}`,
		`{"when":"2026-03-10T10:00:00+08:00"}`, strings.Repeat(`{"in":`, 50)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var ours, std nested
		if err := of.decode(src, &ours, nil); err != nil {
			return
		}
		if err := json.Unmarshal(src, &std); err != nil || !utf8.Valid(src) {
			t.Fatalf("%q: taken, but encoding/json says %v", src, err)
		}
		if !reflect.DeepEqual(ours, std) {
			t.Fatalf("%q: got %+v, encoding/json has %+v", src, ours, std)
		}
	})
}

type nestedInner struct {
	X string `json:"x" format:"none"`
}

func TestSealedFieldsAreClosedWhateverStandsBesideThem(t *testing.T) {
	got := string(closed([]byte(`{"text":"gcenc1.a256gcm.k.AbC-_","say":"a \"gcenc1.x\" b","list":["gcenc1.y"],"plain":"gcenc"}`)))
	want := `{"text":{"sealed":true},"say":"a \"gcenc1.x\" b","list":[{"sealed":true}],"plain":"gcenc"}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(closed([]byte(`{"cut":"off\`))); !strings.HasPrefix(got, `{"cut"`) {
		t.Errorf("got %s", got)
	}
}

func TestKeysThatArePersonalAreToldFromThoseThatAreNot(t *testing.T) {
	for _, s := range []string{"13812345678", "+8613812345678", "138-1234-5678", "tel:19912345678", "0086 13812345678", "11010519491231002X", "11010519491231002x"} {
		if !sealed.LooksPersonal(s) {
			t.Errorf("%q passes", s)
		}
	}
	for _, s := range []string{"1f0c2d9e-6b1a-4c3d-9e8f-138123456789", "20250303-0001", "150105003001001", "12812345678", "110105194912310021", "1731829123456", "k"} {
		if sealed.LooksPersonal(s) {
			t.Errorf("%q is refused", s)
		}
	}
}

func TestTheGateShedsWhatItCanNotServeInTime(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 8)
	shed := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	g := &gate{slots: make(chan struct{}, 1), queue: make(chan struct{}, 1), wait: 20 * time.Millisecond, shed: shed,
		free: func(r *http.Request) bool { return r.URL.Path == "/livez" },
		behind: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-release
		})}
	codes := make(chan int, 3)
	var wg sync.WaitGroup
	ask := func(path string) {
		wg.Go(func() {
			w := httptest.NewRecorder()
			g.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			codes <- w.Code
		})
	}
	ask("/a")
	<-entered
	ask("/b") // waits in the queue, in vain
	if code := <-codes; code != 503 {
		t.Errorf("after the queue's deadline: got %d, want 503", code)
	}
	ask("/livez") // is let through although all slots are taken
	<-entered
	close(release)
	wg.Wait()
	if a, b := <-codes, <-codes; a != 200 || b != 200 {
		t.Errorf("admitted: got %d and %d, want 200", a, b)
	}
	if len(g.slots) != 0 || len(g.queue) != 0 {
		t.Errorf("%d slots and %d places in the queue are still taken", len(g.slots), len(g.queue))
	}
}

func TestEveryProblemHasAStatusAndSentencesInBothLanguages(t *testing.T) {
	for code, m := range problems {
		if m.status < 400 || m.title.Zh == "" || m.title.En == "" || m.explain.Zh == "" || m.explain.En == "" {
			t.Errorf("%s: %+v", code, m)
		}
	}
}

func TestEveryClockSaysWhatIsOwedInBothLanguages(t *testing.T) {
	for _, c := range calendar.Clocks() {
		if p := owed[c]; p.Zh == "" || p.En == "" {
			t.Errorf("%s: %+v", c, p)
		}
	}
}

// Router is where the routes are.
func (s *Server) Router() *gin.Engine { return s.router }
