// Package catalogue names the matters (事项) that a demand can be about: seventeen classes of subjects of matters.
//
// Classes 01–15 are the official three-level subject classification. 16 便民服务 holds the everyday errands
// and 17 邻里事务 what neighbours share and quarrel about. A matter's code is its key, its name is not:
// 116 subjects have a matter called 其他. Duty lists and the negative list may name a class or a subject,
// that is, a code's first two or four digits.
package catalogue

import (
	_ "embed"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Code is TTSSLL: class, subject in the class, matter in the subject; each two digits from 01. Codes are
// never reused and never change their meaning.
type Code string

// Valid reports whether the code has the form of one; [Lookup] says whether it exists.
func (c Code) Valid() bool {
	return len(c) == 6 && strings.Trim(string(c), "0123456789") == "" && c[:2] != "00" && c[2:4] != "00" && c[4:] != "00"
}

// Class returns the code of the class, two digits, "" if c has not the form of a code.
func (c Code) Class() string { return c.first(2) }

// Subject returns the code of the subject, four digits, "" if c has not the form of a code.
func (c Code) Subject() string { return c.first(4) }

func (c Code) first(n int) string {
	if !c.Valid() {
		return ""
	}
	return string(c[:n])
}

// Matter is one entry, with the names of all three levels.
type Matter struct {
	Code    Code
	Class   string // 一级
	Subject string // 二级
	Name    string // 三级: unique in its subject only
}

// Class is a first-level heading with its subjects in code order.
type Class struct {
	Code     string // two digits
	Name     string
	Subjects []Subject
}

// Subject is a second-level heading.
type Subject struct {
	Code string // four digits
	Name string
}

//go:embed matters.txt
var source string

// matters is the table, read from its source on first use.
var matters = sync.OnceValue(func() []Matter {
	ms, err := parse(source)
	if err != nil {
		panic("catalogue: matters.txt: " + err.Error()) // a fault of the build, found by any test
	}
	return ms
})

// Lookup returns the matter with the code.
func Lookup(c Code) (Matter, bool) {
	i, found := slices.BinarySearchFunc(matters(), c, func(m Matter, c Code) int { return strings.Compare(string(m.Code), string(c)) })
	if !found {
		return Matter{}, false
	}
	return matters()[i], true
}

// Heads reports whether a text is the code of a class, a subject or a matter that exists: two, four or six digits.
func Heads(code string) bool {
	if n := len(code); n != 2 && n != 4 && n != 6 {
		return false
	}
	i, _ := slices.BinarySearchFunc(matters(), code, func(m Matter, c string) int { return strings.Compare(string(m.Code), c) })
	return i < len(matters()) && strings.HasPrefix(string(matters()[i].Code), code)
}

// ByName returns the matter with these three names, exactly as they are written. It reads the whole table.
func ByName(class, subject, name string) (Matter, bool) {
	for _, m := range matters() {
		if m.Name == name && m.Subject == subject && m.Class == class {
			return m, true
		}
	}
	return Matter{}, false
}

// All yields all matters in code order.
func All() iter.Seq[Matter] { return slices.Values(matters()) }

// Classes returns the classes with their subjects, in code order. The caller owns the slices.
func Classes() []Class {
	var cs []Class
	for m := range All() {
		if len(cs) == 0 || cs[len(cs)-1].Code != m.Code.Class() {
			cs = append(cs, Class{Code: m.Code.Class(), Name: m.Class})
		}
		last := &cs[len(cs)-1]
		if n := len(last.Subjects); n == 0 || last.Subjects[n-1].Code != m.Code.Subject() {
			last.Subjects = append(last.Subjects, Subject{Code: m.Code.Subject(), Name: m.Subject})
		}
	}
	return cs
}

// parse reads the layout described at the head of matters.txt. Class and subject codes must ascend from 01
// without a gap, so that a line lost or moved by an edit is an error and not another meaning.
func parse(text string) ([]Matter, error) {
	var ms []Matter
	var class string
	var classes, subjects int
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		head, list, isSubject := strings.Cut(line, ": ")
		code, name, _ := strings.Cut(head, " ")
		want := fmt.Sprintf("%02d", classes+1)
		if isSubject {
			subjects++
			want = fmt.Sprintf("%02d%02d", classes, subjects)
		} else {
			classes, subjects, class = classes+1, 0, name
		}
		if code != want || name == "" || strings.Contains(name, " ") {
			return nil, fmt.Errorf("line %d: got %q, want %s and one name", n+1, head, want)
		}
		if !isSubject {
			continue
		}
		names := strings.Split(list, " ")
		if len(names) > 99 {
			return nil, fmt.Errorf("line %d: %d matters in subject %s, want at most 99", n+1, len(names), code)
		}
		for i, matter := range names {
			if matter == "" || slices.Contains(names[:i], matter) {
				return nil, fmt.Errorf("line %d: matter %d of subject %s is empty or there twice: %q", n+1, i+1, code, matter)
			}
			ms = append(ms, Matter{Code: Code(fmt.Sprintf("%s%02d", code, i+1)), Class: class, Subject: name, Name: matter})
		}
	}
	return ms, nil
}
