package assessment

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func TestTheDocumentDescribesEveryChoiceAndIndicator(t *testing.T) {
	f, err := os.Open("../../docs/assessment.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	words := map[string]bool{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		for i, w := range strings.Split(sc.Text(), "`") {
			if i%2 == 1 {
				words[w] = true
			}
		}
	}
	for _, c := range Choices() {
		if !words[string(c.Name)] {
			t.Errorf("docs/assessment.md does not name the choice %s", c.Name)
		}
		for _, a := range c.Answers {
			if a.Word != "" && !words[a.Word] && !words[a.String()] && !words[a.Word+":n"] {
				t.Errorf("docs/assessment.md does not name the answer %s of %s", a, c.Name)
			}
		}
	}
	for _, d := range Definitions() {
		if !words[string(d.Indicator)] {
			t.Errorf("docs/assessment.md does not name the indicator %s", d.Indicator)
		}
	}
}
