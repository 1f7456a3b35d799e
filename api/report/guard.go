package report

import "strings"

// guarded keeps a text from being taken for a formula by a spreadsheet, with an apostrophe before it. Numbers are not guarded: they are
// written as numbers, negative ones too.
func guarded(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
