package number

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestTheCheckCharacterFollowsTheStandardsVector(t *testing.T) {
	if got := Check("A12425GABC1234002"); got != 'M' {
		t.Errorf("Check(A12425GABC1234002): got %c, want M", got)
	}
}

func TestANumberIsReadHoweverItIsTyped(t *testing.T) {
	want := Format("150105", "20261116", 417)
	for _, typed := range []string{want, "15010520261116 0417" + want[len(want)-1:], " 150105 20261116-0417-" + want[len(want)-1:]} {
		if got, err := Parse(typed); err != nil || got != want {
			t.Errorf("Parse(%q): got %q, %v, want %q", typed, got, err, want)
		}
	}
}

func TestAWrongCharacterIsNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		good := Format("150105", "20261116", rapid.IntRange(1, 123456).Draw(t, "n"))
		i := rapid.IntRange(0, len(good)-1).Draw(t, "i")
		c := rapid.SampledFrom([]byte(alphabet)).Draw(t, "c")
		if good[i] == '-' || good[i] == c {
			return
		}
		if got, err := Parse(good[:i] + string(c) + good[i+1:]); !errors.Is(err, ErrNumber) {
			t.Errorf("Parse(%q with %c at %d): got %q, %v, want ErrNumber", good, c, i, got, err)
		}
	})
}
