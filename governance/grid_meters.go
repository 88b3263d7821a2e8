package governance

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxMetered is how many earlier calls a grid makes for one count.
const maxMetered = 200

// meters varies what the ledger holds: with this call, counts and sums below, at
// and above each limit.
func (b *gridBuilder) meters() {
	var marks []*meterMark
	byText := map[string]*meterMark{}
	for _, m := range b.marks {
		for _, mark := range m.meters {
			if byText[mark.text] == nil {
				byText[mark.text] = &meterMark{text: mark.text, tool: mark.tool, amount: mark.amount, by: mark.by}
				marks = append(marks, byText[mark.text])
			}
			byText[mark.text].numbers = addTo(byText[mark.text].numbers, mark.numbers...)
		}
	}
	for _, m := range marks {
		var settings []setting
		seen := map[string]bool{}
		for _, n := range m.numbers {
			at, by := rat(n), step(rat(n), m.amount == nil)
			for _, target := range []*big.Rat{new(big.Rat).Sub(at, by), at, new(big.Rat).Add(at, by)} {
				text := string(numberText(target))
				if seen[text] || target.Sign() < 0 || m.amount == nil && (!target.IsInt() || target.Cmp(big.NewRat(maxMetered, 1)) > 0) {
					b.grid.left = addTo(b.grid.left, left(m, target)...)
					continue
				}
				seen[text] = true
				what := "calls of " + m.tool
				if m.amount != nil {
					what = "a sum of " + strings.Join(m.amount[1:], ".") + " over " + m.tool
				}
				settings = append(settings, setting{key: text, words: fmt.Sprintf("with %s of %s at %s", what, m.window(), text), set: func(d *draft) { b.release(d, m, target) }})
			}
		}
		b.dimension("meter "+m.text, 2, settings)
	}
}

// left: a count that is too large to be made is not varied.
func left(m *meterMark, target *big.Rat) []string {
	if m.amount == nil && target.Cmp(big.NewRat(maxMetered, 1)) > 0 {
		return []string{m.text}
	}
	return nil
}

// window of the meter, as it is written.
func (m *meterMark) window() string {
	parts := strings.Split(m.text, `"`)
	at := 3
	if m.amount != nil {
		at = 5
	}
	if at < len(parts) {
		return parts[at]
	}
	return "the window"
}

// release adds earlier calls, so that with this one the meter says target.
func (b *gridBuilder) release(d *draft, m *meterMark, target *big.Rat) {
	name := m.tool
	own := matchTool(m.tool, b.grid.tool.Name)
	if own {
		name = b.grid.tool.Name
	}
	name = strings.NewReplacer("*", "x", "?", "x").Replace(name)
	args := map[string]any{}
	for _, path := range m.by {
		if v := get(d.args, path[1:]); v != nil {
			putIn(args, path[1:], v)
		}
	}
	before := new(big.Rat).Set(target)
	calls := 1
	if m.amount == nil {
		if own {
			before.Sub(before, big.NewRat(1, 1))
		}
		if before.Sign() < 0 {
			return
		}
		calls = int(before.Num().Int64())
	} else {
		if text, ok := get(d.args, m.amount[1:]).(json.RawMessage); ok && own {
			if r, ok := new(big.Rat).SetString(string(text)); ok {
				before.Sub(before, r)
			}
		}
		if before.Sign() <= 0 {
			return
		}
		putIn(args, m.amount[1:], numberText(before))
	}
	text, err := json.Marshal(args)
	if err != nil {
		return
	}
	for i := range calls {
		d.facts.Released = append(d.facts.Released, Released{ID: fmt.Sprintf("call_ledger_%d", i+1), Name: name, Arguments: string(text), At: d.facts.Now.Add(-time.Millisecond)})
	}
}
