package demand

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"gridcase/domain/calendar"
	"gridcase/domain/sealed"
)

// everyEvent has the zero value of each event.
func everyEvent() []Event {
	return []Event{Raised{}, Accepted{}, AnsweredOnTheSpot{}, Declined{}, Redirected{}, Withdrawn{}, LinkedToTopic{},
		FastTracked{}, UnlinkedFromTopic{}, EnteredHandling{}, Answered{}, ReturnedToTopic{}, ReturnedToPool{},
		CallbackRecorded{}, CallbackAttempted{}, CallbackWaived{}, Reopened{}, AppealFiled{}, AppealRejected{},
		AppealUpheld{}, Supplemented{}, Supported{}, Reclassified{}, Relocated{}, Split{}, Related{},
		UrgingReceived{}, Rerated{}, ProgressNoted{}, DeadlineRecomputed{}, WarningRaised{}, ClockExpired{}, Escalated{}}
}

var textType = reflect.TypeFor[sealed.Text]()

// fill sets every sealed text below v, one element in every slice, and counts them.
func fill(v reflect.Value) int {
	n := 0
	switch {
	case v.Type() == textType:
		v.Set(reflect.ValueOf(sealed.Clear("secret")))
		return 1
	case v.Type() == reflect.TypeFor[calendar.Due]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += fill(v.Field(i))
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		n += fill(v.Index(0))
	}
	return n
}

// No personal text of any event is stored in the clear, and each says whose it is (rule I14).
func TestEveryPersonalTextIsTheReportersAndIsSealed(t *testing.T) {
	total := 0
	for _, e := range everyEvent() {
		p := reflect.New(reflect.TypeOf(e))
		n := fill(p.Elem())
		total += n
		fields := sealed.Fields(p.Interface())
		if len(fields) != n {
			t.Errorf("%s: %d sealed fields found, want %d", e.EventType(), len(fields), n)
		}
		for _, f := range fields {
			if f.Part != "reporter" {
				t.Errorf("%s: %s belongs to %q", e.EventType(), f.Name, f.Part)
			}
		}
		if _, err := json.Marshal(p.Interface()); n > 0 && !errors.Is(err, sealed.ErrNotSealed) {
			t.Errorf("%s: marshalled in the clear: %v", e.EventType(), err)
		}
	}
	if total < 12 {
		t.Errorf("only %d personal texts found", total)
	}
}
