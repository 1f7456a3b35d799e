// Package number writes and reads case numbers (编号), the way people name a demand, topic or order aloud:
// 150105-20261116-0417-N is county, local date, counter of the day and a check character.
//
// A number carries no meaning that may change, and is never used twice; gaps are allowed.
package number

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNumber: the text is no case number, or a character of it is wrong.
var ErrNumber = errors.New("not a case number: a character is wrong or missing")

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Check returns the ISO 7064 MOD 37,36 check character of digits and capital letters.
func Check(s string) byte {
	p := 36
	for _, c := range []byte(s) {
		n := (p + strings.IndexByte(alphabet, c)) % 36
		if n == 0 {
			n = 36
		}
		p = 2 * n % 37
	}
	return alphabet[(37-p)%36]
}

// Format writes the number of the n-th case of a county, six digits, on a local day, eight digits.
func Format(county, day string, n int) string {
	count := fmt.Sprintf("%04d", n)
	return county + "-" + day + "-" + count + "-" + string(Check(county+day+count))
}

// Parse returns a number in its written form, whatever case, spaces and hyphens it was typed with. It returns
// [ErrNumber] if the check character does not fit.
func Parse(s string) (string, error) {
	plain := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "　", "").Replace(s))
	if len(plain) < 19 || len(plain) > 24 {
		return "", ErrNumber
	}
	body, check := plain[:len(plain)-1], plain[len(plain)-1]
	if strings.Trim(body, "0123456789") != "" || Check(body) != check {
		return "", ErrNumber
	}
	return body[:6] + "-" + body[6:14] + "-" + body[14:] + "-" + string(check), nil
}
