package catalogue

import (
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// official returns the matters of classes 01 to 15.
func official() []Matter {
	return slices.DeleteFunc(slices.Collect(All()), func(m Matter) bool { return m.Code > "159999" })
}

func TestTheOfficialClassificationIsComplete(t *testing.T) {
	classes, subjects, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	sum := sha256.New()
	for _, m := range official() {
		classes[m.Class], subjects[m.Class+"/"+m.Subject], names[m.Name] = true, true, true
		fmt.Fprintf(sum, "%s,%s,%s\n", m.Class, m.Subject, m.Name)
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"classes", len(classes), 15},
		{"subjects", len(subjects), 118},
		{"matters", len(official()), 517},
		{"different third-level names", len(names), 390},
	} {
		if c.got != c.want {
			t.Errorf("official %s: got %d, want %d", c.what, c.got, c.want)
		}
	}
	// SHA-256 of the published rows in their published order, as "class,subject,matter" and a line feed each.
	const want = "b46c8bea462227c906f6a2e5b8fcbf6036e208145aad40a8e29522cd22385bcd"
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		t.Errorf("official rows: got checksum %s, want %s", got, want)
	}
}

func TestTheOfficialClassificationIsThePublishedFile(t *testing.T) {
	file := filepath.Join(cmp.Or(os.Getenv("GRIDCASE_SHARED"), "../../../shared"), "data", "categories.csv")
	f, err := os.Open(file)
	if err != nil {
		t.Skipf("the published file is not here, the checksum has to do: %v", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows = rows[1:]
	ours := official()
	if len(ours) != len(rows) {
		t.Fatalf("got %d official matters, the file has %d", len(ours), len(rows))
	}
	place := map[string]int{} // of a class, or of a subject in its class, by first appearance
	count := map[string]int{} // of what was seen below a heading
	number := func(above, name string) int {
		key := above + "/" + name
		if place[key] == 0 {
			count[above]++
			place[key] = count[above]
		}
		return place[key]
	}
	for i, row := range rows {
		want := Matter{
			Code: Code(fmt.Sprintf("%02d%02d%02d", number("", row[0]), number(row[0], row[1]),
				number(row[0]+"/"+row[1], row[2]))),
			Class: row[0], Subject: row[1], Name: row[2],
		}
		if ours[i] != want {
			t.Errorf("row %d: got %+v, want %+v", i+2, ours[i], want)
		}
	}
}

// A released code keeps its meaning: these lines may grow at their ends and change in no other way.
func TestReleasedMattersOfOurOwnKeepTheirCodes(t *testing.T) {
	for _, released := range []struct{ class, code, subject, names string }{
		{"便民服务", "1601", "生活照料", "上门理发 为老送餐 代买代购 陪同就医 上门维修"},
		{"便民服务", "1602", "健康服务", "义诊 测量血压血糖 代取药品"},
		{"便民服务", "1603", "代缴代办", "代缴水费 代缴电费 代缴取暖费 代缴燃气费 代办通信业务"},
		{"便民服务", "1604", "津贴证件帮办", "高龄津贴申领 老年优待证办理 残疾人补贴申领 居民医保参保缴费 养老待遇资格认证"},
		{"邻里事务", "1701", "公共设施", "自行车棚 楼道照明 单元门禁 健身器材 晾晒设施 电动车充电桩"},
		{"邻里事务", "1702", "楼道环境", "楼道堆物 楼道清扫 小广告清理"},
		{"邻里事务", "1703", "噪声扰民", "装修噪声 广场舞噪声 宠物吠叫 邻里生活噪声"},
		{"邻里事务", "1704", "公共空间", "停车占位 圈占绿地 宠物饲养 高空抛物"},
		{"邻里事务", "1705", "邻里纠纷", "漏水渗水 相邻采光通风 公摊费用"},
	} {
		for i, name := range strings.Fields(released.names) {
			code := Code(fmt.Sprintf("%s%02d", released.code, i+1))
			want := Matter{Code: code, Class: released.class, Subject: released.subject, Name: name}
			if got, found := Lookup(code); !found || got != want {
				t.Errorf("Lookup(%s): got %+v %v, want %+v", code, got, found, want)
			}
		}
	}
}

func TestEveryMatterIsFoundByCodeAndByName(t *testing.T) {
	var before Code
	for m := range All() {
		if !m.Code.Valid() || m.Code <= before {
			t.Errorf("code %q after %q: want valid codes that ascend", m.Code, before)
		}
		before = m.Code
		if got, found := Lookup(m.Code); !found || got != m {
			t.Errorf("Lookup(%s): got %+v %v, want %+v", m.Code, got, found, m)
		}
		if got, found := ByName(m.Class, m.Subject, m.Name); !found || got != m {
			t.Errorf("ByName(%s, %s, %s): got %+v %v, want %s", m.Class, m.Subject, m.Name, got, found, m.Code)
		}
	}
}

func TestWhatIsNotInTheCatalogueIsNotFound(t *testing.T) {
	for _, c := range []Code{"", "01", "0101", "000000", "010199", "990101", "0101011", "01010a"} {
		if m, found := Lookup(c); found {
			t.Errorf("Lookup(%q): got %+v, want nothing", c, m)
		}
	}
	// the name exists, in another subject
	if m, found := ByName("城乡建设", "安全生产", "园林绿化环卫"); found {
		t.Errorf("ByName with the wrong subject: got %+v, want nothing", m)
	}
}

func TestClassesListEverySubjectOnce(t *testing.T) {
	cs := Classes()
	if len(cs) != 17 {
		t.Fatalf("got %d classes, want 17", len(cs))
	}
	subjects := 0
	for i, c := range cs {
		if want := fmt.Sprintf("%02d", i+1); c.Code != want {
			t.Errorf("class %s: got code %s, want %s", c.Name, c.Code, want)
		}
		for j, s := range c.Subjects {
			subjects++
			if want := fmt.Sprintf("%s%02d", c.Code, j+1); s.Code != want {
				t.Errorf("subject %s: got code %s, want %s", s.Name, s.Code, want)
			}
		}
	}
	if want := 118 + 4 + 5; subjects != want {
		t.Errorf("got %d subjects, want %d", subjects, want)
	}
	if got := cs[15].Name + cs[16].Name; got != "便民服务邻里事务" {
		t.Errorf("classes 16 and 17: got %s", got)
	}
	cs[0].Subjects[0].Name = "x"
	if Classes()[0].Subjects[0].Name == "x" {
		t.Error("a caller changed the catalogue through Classes")
	}
}

func TestACodeNamesItsClassAndSubject(t *testing.T) {
	for _, c := range []struct {
		code           Code
		valid          bool
		class, subject string
	}{
		{"010203", true, "01", "0102"},
		{"170502", true, "17", "1705"},
		{"010200", false, "", ""},
		{"0102", false, "", ""},
		{"01020x", false, "", ""},
		{"", false, "", ""},
	} {
		if c.code.Valid() != c.valid || c.code.Class() != c.class || c.code.Subject() != c.subject {
			t.Errorf("%q: got %v %q %q, want %v %q %q", c.code, c.code.Valid(), c.code.Class(), c.code.Subject(),
				c.valid, c.class, c.subject)
		}
	}
}

func TestAnEditThatWouldShiftCodesIsAnError(t *testing.T) {
	long := make([]string, 100)
	for i := range long {
		long[i] = fmt.Sprint("m", i)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a lost class", "02 b\n0201 s: x\n", "line 1"},
		{"a lost subject", "01 a\n0102 s: x\n", "line 2"},
		{"a lost line between classes", "01 a\n0101 s: x\n03 c\n", "line 3"},
		{"a subject without its class", "0101 s: x\n", "line 1"},
		{"a class without a name", "01\n", "line 1"},
		{"a subject without matters", "01 a\n0101 s: \n", "line 2"},
		{"two spaces between matters", "01 a\n0101 s: x  y\n", "line 2"},
		{"a matter there twice", "01 a\n0101 s: x y x\n", "line 2"},
		{"a matter added before the colon", "01 a\n0101 s x: y\n", "line 2"},
		{"a hundred matters in a subject", "01 a\n0101 s: " + strings.Join(long, " ") + "\n", "line 2"},
	} {
		ms, err := parse(c.text)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want an error at %s", c.name, ms, err, c.want)
		}
	}
}
