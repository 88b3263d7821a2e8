package cel

import (
	"strconv"
	"strings"
	"time"
)

// monthNames are how people write the twelve months, folded; abbreviations may
// have a full stop.
var monthNames = [12][]string{
	{"january", "jan", "januar", "janvier", "enero", "gennaio", "januari", "janeiro"},
	{"february", "feb", "februar", "février", "febrero", "febbraio", "februari", "fevereiro"},
	{"march", "mar", "märz", "mars", "marzo", "maart", "março"},
	{"april", "apr", "avril", "abril", "aprile"},
	{"may", "mai", "mayo", "maggio", "mei", "maio"},
	{"june", "jun", "juni", "juin", "junio", "giugno", "junho"},
	{"july", "jul", "juli", "juillet", "julio", "luglio", "julho"},
	{"august", "aug", "août", "agosto", "augustus"},
	{"september", "sep", "sept", "septembre", "septiembre", "settembre", "setembro"},
	{"october", "oct", "oktober", "octobre", "octubre", "ottobre", "outubro"},
	{"november", "nov", "novembre", "noviembre", "novembro"},
	{"december", "dec", "dezember", "décembre", "diciembre", "dicembre", "dezembro"},
}

// holdDate: the text 2026-03-05 stands in one of the texts as people write dates,
// year included: 5 March 2026, March 5th, 2026, 5.3.2026, 2026/3/5. With slashes
// and hyphens the day and the month must not be confusable: 3/25/2026 is one date,
// 3/5/2026 is two.
func (w *words) holdDate(x string) bool {
	day, err := time.Parse(time.DateOnly, x)
	if err != nil || len(x) != len(time.DateOnly) {
		return false
	}
	year := x[:4]
	var spellings []string
	return w.anywhere(year, year, func(text string) bool {
		if spellings == nil {
			spellings = spellingsOf(day)
		}
		for _, s := range spellings {
			if holdsWord(text, s) {
				return true
			}
		}
		return false
	})
}

func spellingsOf(t time.Time) (list []string) {
	y := strconv.Itoa(t.Year())
	days, months := digitsOf(t.Day()), digitsOf(int(t.Month()))
	clear := t.Day() > 12 || t.Day() == int(t.Month())
	for _, d := range days {
		for _, m := range months {
			for _, sep := range []string{"-", "/", "."} {
				list = append(list, y+sep+m+sep+d)
			}
			list = append(list, d+"."+m+"."+y, d+". "+m+". "+y)
			if clear {
				for _, sep := range []string{"/", "-"} {
					list = append(list, d+sep+m+sep+y, m+sep+d+sep+y)
				}
			}
		}
	}
	for _, name := range monthNames[t.Month()-1] {
		for _, month := range []string{name, name + "."} {
			for _, d := range days {
				for _, day := range []string{d, d + ordinal(t.Day()), d + "."} {
					list = append(list, month+" "+day+" "+y, month+" "+day+", "+y, day+" "+month+" "+y, day+" "+month+", "+y,
						day+" of "+month+" "+y, day+" of "+month+", "+y, day+" de "+month+" de "+y, day+" "+month+" de "+y)
				}
			}
		}
	}
	for i, s := range list {
		list[i] = string(appendFolded(nil, s))
	}
	return list
}

// digitsOf are 5 and 05, or 25.
func digitsOf(n int) []string {
	if n < 10 {
		return []string{strconv.Itoa(n), "0" + strconv.Itoa(n)}
	}
	return []string{strconv.Itoa(n)}
}

func ordinal(day int) string {
	switch {
	case day%10 == 1 && day != 11:
		return "st"
	case day%10 == 2 && day != 12:
		return "nd"
	case day%10 == 3 && day != 13:
		return "rd"
	}
	return "th"
}

// looksLikeDate: four digits and a hyphen at least.
func looksLikeDate(x string) bool {
	return len(x) == len(time.DateOnly) && strings.Count(x, "-") == 2
}
