package sealed

import (
	"strings"
	"time"
	"unicode"
)

// LooksPersonal reports whether a word of the text is a mainland mobile number, with or without the country's code,
// or an identity number whose date and check character fit. Such a word must not become part of a key, an id or a
// number that is kept readable.
func LooksPersonal(s string) bool {
	joined := strings.NewReplacer(" ", "", "-", "", "+", "").Replace(s)
	apart := func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) }
	for _, w := range append(strings.FieldsFunc(s, apart), strings.FieldsFunc(joined, apart)...) {
		if mobile(w) || mobile(strings.TrimPrefix(w, "86")) || mobile(strings.TrimPrefix(w, "0086")) || identity(w) {
			return true
		}
	}
	return false
}

func mobile(s string) bool {
	return len(s) == 11 && strings.Trim(s, "0123456789") == "" && s[0] == '1' && s[1] >= '3'
}

// identity checks the form of GB 11643: six digits of place, a date, three of order, a check character (ISO 7064 MOD 11-2).
func identity(s string) bool {
	if len(s) != 18 || strings.Trim(s[:17], "0123456789") != "" {
		return false
	}
	if _, err := time.Parse("20060102", s[6:14]); err != nil {
		return false
	}
	sum := 0
	for i := range 17 {
		sum += int(s[i]-'0') * (1 << (17 - i) % 11)
	}
	return "10X98765432"[sum%11] == strings.ToUpper(s[17:])[0]
}
