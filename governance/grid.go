package governance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// GridLimit is how many calls a boundary grid holds at most where nobody says
// otherwise.
const GridLimit = 2048

// Grid is the boundary grid of some rules for one tool: calls below, at and above
// each constant of the conditions, with each fixed text and another, with what is
// optional there and missing, with wrong types; and the facts that the conditions
// read, varied likewise. It is deterministic and bounded.
type Grid struct {
	tool       Tool
	dimensions []*dimension
	points     [][]int16
	seen       map[string]bool
	complete   bool
	left       []string
	kinds      map[string]string // of arguments and claims, by path
}

// GridRule is a rule with the config and the domain of its policy.
type GridRule struct {
	Rule   Rule
	Config map[string]any
	Domain string
}

// NewGrid makes the grid of rules for one tool, typed by its schema if it has one;
// limit 0 is GridLimit. The error is that of a condition that does not parse.
func NewGrid(analyzer Analyzer, rules []GridRule, tool Tool, limit int) (*Grid, error) {
	if limit <= 0 {
		limit = GridLimit
	}
	var all []*landmarks
	for _, r := range rules {
		m, err := landmarksOf(analyzer, r)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	g := gridOf(all, tool, nil)
	g.fill(nil, limit)
	return g, nil
}

// gridOf has the dimensions of all landmarks and no points yet. kinds are those of
// a wider grid, nil for none.
func gridOf(all []*landmarks, tool Tool, kinds map[string]string) *Grid {
	if kinds == nil {
		kinds = map[string]string{}
	}
	g := &Grid{tool: tool, seen: map[string]bool{}, kinds: kinds}
	b := gridBuilder{grid: g, schema: readSchemaText(tool.Schema)}
	for _, m := range all {
		b.add(m)
		g.left = addText(g.left, m.left...)
	}
	b.finish()
	return g
}

// landmarksOf reads all conditions of a rule.
func landmarksOf(analyzer Analyzer, r GridRule) (*landmarks, error) {
	m := newLandmarks(r.Config)
	if r.Domain != "" {
		m.domains = []string{r.Domain}
	}
	for _, l := range r.Rule.When {
		x, err := analyzer.Parse(l.If)
		if err != nil {
			return nil, err
		}
		m.read(x)
	}
	if r.Rule.Unless != "" {
		x, err := analyzer.Parse(r.Rule.Unless)
		if err != nil {
			return nil, err
		}
		m.read(x)
	}
	return m, nil
}

// Len is the number of calls.
func (g *Grid) Len() int { return len(g.points) }

// Complete says that every combination of the values on either side of an edge is
// in the grid, and that nothing is read that it does not vary.
func (g *Grid) Complete() bool { return g.complete && len(g.left) == 0 }

// Left is what the conditions read and the grid does not vary, as CEL.
func (g *Grid) Left() []string { return g.left }

// Point is one call of a grid, with the facts around it.
type Point struct {
	Facts Facts
	Calls []Call // of one turn; the last one is meant
	// Words say what is special about it: "amount exactly 100".
	Words string
}

// Call is the one that is meant.
func (p Point) Call() Call { return p.Calls[len(p.Calls)-1] }

// String is the call with its arguments.
func (p Point) String() string { return p.Call().Name + " " + p.Call().Arguments }

// Point builds one of the calls.
func (g *Grid) Point(i int) Point { return g.build(g.points[i]) }

// dimension is one thing that is varied; the first setting is the ordinary one.
type dimension struct {
	name     string
	phase    int // arguments are set before the facts that speak of them
	settings []setting
}

// setting is one value of a dimension.
type setting struct {
	key   string // tells settings of a dimension apart
	words string // "" for the ordinary
	odd   bool   // missing, a wrong type: not crossed with everything
	set   func(*draft)
}

// draft is a point while it is made.
type draft struct {
	args   map[string]any
	facts  Facts
	before []Call
}

func (g *Grid) build(at []int16) Point {
	d := &draft{args: map[string]any{}, facts: Facts{Workspace: "default", Conversation: "conv_check", Turns: 1, Requester: Requester{ID: "key_check", KeyID: "key_check"},
		Tools: map[string]Tool{g.tool.Name: g.tool}, UserTexts: []string{"Please do it."}, Now: exampleTime}}
	var words []string
	for phase := range 3 {
		for i, dim := range g.dimensions {
			if dim.phase != phase {
				continue
			}
			s := dim.settings[at[i]]
			s.set(d)
			if s.words != "" {
				words = append(words, s.words)
			}
		}
	}
	text, err := json.Marshal(withoutAbsent(d.args))
	if err != nil {
		text = []byte("{}") // every value is JSON already
	}
	form := FormFunction
	arguments := string(text)
	if g.tool.Type == "custom" {
		form = FormCustom
		arguments = ""
		if input, ok := d.args["input"].(json.RawMessage); ok && json.Unmarshal(input, &arguments) != nil {
			arguments = string(input)
		}
	}
	return Point{Facts: d.facts, Calls: append(d.before, Call{ID: "call_check", Name: g.tool.Name, Form: form, Arguments: arguments}), Words: strings.Join(words, ", ")}
}

// narrowed lists, for each dimension, the settings that a rule itself has edges
// at; nil is the first only.
func (g *Grid) narrowed(marks ...*landmarks) [][]int16 {
	own := gridOf(marks, g.tool, g.kinds)
	byName := map[string]*dimension{}
	for _, d := range own.dimensions {
		byName[d.name] = d
	}
	out := make([][]int16, len(g.dimensions))
	for i, d := range g.dimensions {
		mine := byName[d.name]
		if mine == nil {
			continue
		}
		has := make(map[string]bool, len(mine.settings))
		for _, s := range mine.settings {
			has[s.key] = true
		}
		for j, s := range d.settings {
			if j == 0 || has[s.key] {
				out[i] = append(out[i], int16(j))
			}
		}
	}
	return out
}

// fill adds points: the product of all settings that are not odd if it fits, else
// each alone, in pairs, and a spread of the product; then the odd ones, before
// some different backgrounds. allowed bounds the settings of each dimension.
func (g *Grid) fill(allowed [][]int16, limit int) {
	plain, odd := make([][]int16, len(g.dimensions)), make([][]int16, len(g.dimensions))
	for i, d := range g.dimensions {
		for j := range d.settings {
			if allowed != nil && !(j == 0 && len(allowed[i]) == 0) && !slices.Contains(allowed[i], int16(j)) {
				continue
			}
			if d.settings[j].odd {
				odd[i] = append(odd[i], int16(j))
			} else {
				plain[i] = append(plain[i], int16(j))
			}
		}
		if len(plain[i]) == 0 {
			plain[i] = []int16{0}
		}
	}
	limit += len(g.points)
	product := 1
	for _, p := range plain {
		if product *= len(p); product > 1<<40 {
			product = 1 << 40
		}
	}
	room := limit - len(g.points)
	base := make([]int16, len(g.dimensions))
	for i := range base {
		base[i] = plain[i][0]
	}
	whole := product <= room*3/4
	if whole {
		g.spread(plain, product, product, limit)
	} else {
		g.add(base, limit)
		g.vary(base, plain, limit)
		g.pairs(base, plain, limit-room/2)
		g.spread(plain, product, room/4, limit)
	}
	g.complete = whole
	backgrounds := g.backgrounds(plain, product)
	for _, b := range backgrounds {
		before := len(g.points)
		g.vary(b, odd, limit)
		if len(g.points) == before {
			break
		}
	}
}

// backgrounds are a few different combinations, the ordinary one first.
func (g *Grid) backgrounds(plain [][]int16, product int) [][]int16 {
	var out [][]int16
	const most = 16
	stride := max(1, product/most)
	for n := 0; n < product && len(out) < most; n += stride {
		out = append(out, combination(plain, n))
	}
	return out
}

// combination is the nth of a product.
func combination(of [][]int16, n int) []int16 {
	at := make([]int16, len(of))
	for i, s := range of {
		at[i] = s[n%len(s)]
		n /= len(s)
	}
	return at
}

// spread adds n combinations, evenly over the product.
func (g *Grid) spread(of [][]int16, product, n, limit int) {
	if product <= n {
		for i := range product {
			g.add(combination(of, i), limit)
		}
		return
	}
	// A stride without a common divisor meets every combination once.
	stride := int(float64(product)*0.6180339887) | 1
	for divides(stride, product) {
		stride += 2
	}
	at := 0
	for range n {
		g.add(combination(of, at), limit)
		at = (at + stride) % product
	}
}

func divides(a, b int) bool {
	for b != 0 {
		a, b = b, a%b
	}
	return a != 1
}

// vary changes one dimension at a time.
func (g *Grid) vary(base []int16, of [][]int16, limit int) {
	for i, settings := range of {
		for _, s := range settings {
			if s != base[i] {
				at := slices.Clone(base)
				at[i] = s
				g.add(at, limit)
			}
		}
	}
}

// pairs changes two.
func (g *Grid) pairs(base []int16, of [][]int16, limit int) {
	for i := range of {
		for j := range i {
			for _, a := range of[i] {
				for _, b := range of[j] {
					if len(g.points) >= limit {
						return
					}
					if a == base[i] || b == base[j] {
						continue
					}
					at := slices.Clone(base)
					at[i], at[j] = a, b
					g.add(at, limit)
				}
			}
		}
	}
}

func (g *Grid) add(at []int16, limit int) {
	if len(g.points) >= limit {
		return
	}
	key := make([]byte, 0, 2*len(at))
	for _, n := range at {
		key = append(key, byte(n), byte(n>>8))
	}
	if !g.seen[string(key)] {
		g.seen[string(key)] = true
		g.points = append(g.points, slices.Clone(at))
	}
}

// ordinary says how many dimensions of a point are as usual, and whether any is odd.
func (g *Grid) ordinary(at []int16) (special int, odd bool) {
	for i, n := range at {
		if n != 0 {
			special++
		}
		odd = odd || g.dimensions[i].settings[n].odd
	}
	return special, odd
}

// describe is a call for people: its arguments, and the facts that matter.
func (p Point) describe() string {
	text := p.String()
	if p.Words != "" {
		text += " (" + p.Words + ")"
	}
	return fmt.Sprintf("%.400s", text)
}
