package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Meter is what one count() or total() of a condition asks of the ledger: the
// calls of a tool within a time that has just passed, by whom or about what.
type Meter struct {
	// Tool is a name or a glob.
	Tool string `json:"tool"`
	// Amount is the path of the argument that is summed; "" counts calls.
	Amount string `json:"amount,omitempty"`
	// Window is how long a call counts after it was released.
	Window time.Duration `json:"window"`
	// By are the things whose values a call must share with the judged one:
	// requester, conversation, workspace, domain or args.<path>.
	By []string `json:"by,omitempty"`
}

// The things beside arguments that calls are counted by.
const (
	ByRequester    = "requester"
	ByConversation = "conversation"
	ByWorkspace    = "workspace"
	ByDomain       = "domain"
	byArgs         = "args."
)

// Limits of a window.
const (
	MinWindow = time.Second
	MaxWindow = 366 * 24 * time.Hour
)

// MaxBy is how many things one meter counts by.
const MaxBy = 3

// ParseWindow reads "90s", "24h", "7d" or "1d12h": how far a window reaches back
// from the time of the decision. A day is 24 hours, whatever the calendar says.
func ParseWindow(text string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(text, "d")
	var window time.Duration
	ok := true
	if hasDays {
		n, err := strconv.ParseUint(days, 10, 16)
		ok = err == nil && n <= 366
		window = time.Duration(n) * 24 * time.Hour
	} else {
		rest = text
	}
	if ok && (rest != "" || !hasDays) {
		d, err := time.ParseDuration(rest)
		ok = err == nil && d >= 0 && d <= MaxWindow
		window += d
	}
	if !ok || window < MinWindow || window > MaxWindow {
		return 0, fmt.Errorf(`%.40q is no window: write how far it reaches back, from 1s to 366d, such as "90s", "24h" or "7d"`, text)
	}
	return window, nil
}

// NewMeter checks and normalises a meter.
func NewMeter(tool, amount, window string, by ...string) (Meter, error) {
	d, err := ParseWindow(window)
	if err != nil {
		return Meter{}, err
	}
	if !validPattern(tool) {
		return Meter{}, fmt.Errorf("%.60q is no tool name or glob", tool)
	}
	by = slices.Clone(by)
	slices.Sort(by)
	by = slices.Compact(by)
	if len(by) > MaxBy {
		return Meter{}, fmt.Errorf("calls are counted by at most %d things", MaxBy)
	}
	for _, b := range by {
		switch {
		case b == ByRequester, b == ByConversation, b == ByWorkspace, b == ByDomain:
		case strings.HasPrefix(b, byArgs) && len(b) > len(byArgs):
		default:
			return Meter{}, fmt.Errorf("calls are counted by requester.id, conversation.id, workspace, domain or args.<name>, not by %.60s", b)
		}
	}
	// Every account is inside one workspace.
	by = slices.DeleteFunc(by, func(b string) bool { return b == ByWorkspace })
	return Meter{Tool: tool, Amount: strings.TrimPrefix(amount, byArgs), Window: d, By: by}, nil
}

func validPattern(tool string) bool {
	return ValidName(strings.NewReplacer("*", "x", "?", "x").Replace(tool))
}

// Counts says whether a call of this tool is counted.
func (m *Meter) Counts(tool string) bool { return matchTool(m.Tool, tool) }

// key tells meters apart.
func (m *Meter) key() string {
	return strings.Join(append([]string{m.Tool, m.Amount, strconv.FormatInt(int64(m.Window), 10)}, m.By...), "\x00")
}

// Account is where the calls are counted that share the values of this call: an
// opaque name. The error says which value is missing or is none to count by.
//
// Values are compared as people write them: case and blanks around do not count,
// and the number 7 is the text "7", so that another spelling is no other account.
func (m *Meter) Account(f *Facts, args *Arguments) (string, error) {
	h := sha256.New()
	write := func(s string) {
		var n [8]byte
		for i := range n {
			n[i] = byte(len(s) >> (8 * i))
		}
		h.Write(n[:])
		h.Write([]byte(s))
	}
	write(m.key())
	for _, b := range m.By {
		switch b {
		case ByRequester:
			write(f.Requester.ID)
		case ByConversation:
			write(f.Conversation)
		case ByDomain:
			write(f.Domain)
		default:
			value, err := args.accountValue(strings.TrimPrefix(b, byArgs))
			if err != nil {
				return "", err
			}
			write(value)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func (a *Arguments) accountValue(path string) (string, error) {
	at := a.lookUp(strings.Split(path, "."))
	if at == 0 {
		return "", fmt.Errorf("args.%s is missing, so the call cannot be counted by it", path)
	}
	switch n := &a.nodes[at]; n.kind {
	case '"':
		return strings.ToLower(strings.TrimSpace(a.str(at))), nil
	case '0':
		if n, inexact := a.value(at).(Inexact); inexact {
			return n.Text, nil // an id of 20 digits is one
		}
		return string(appendCanonicalNumber(nil, a.text[n.start:n.end], other)), nil
	case 't':
		return "true", nil
	case 'f':
		return "false", nil
	}
	return "", fmt.Errorf("args.%s is neither text nor number, so the call cannot be counted by it", path)
}

// errOverflow says that the sum of a ledger does not fit.
var errOverflow = errors.New("the sum is beyond what the ledger can hold (9.2 million million)")

// micro is the number of millionths in one unit of an amount.
const micro = 1_000_000

// amountOf is the amount of a call in millionths. A negative amount would make
// room under a limit, so it is none.
func (m *Meter) amountOf(args *Arguments) (int64, error) {
	at := args.lookUp(strings.Split(m.Amount, "."))
	if at == 0 {
		return 0, fmt.Errorf("args.%s is missing, so it cannot be summed", m.Amount)
	}
	n := &args.nodes[at]
	if n.kind != '0' {
		return 0, fmt.Errorf("args.%s is not a number, so it cannot be summed", m.Amount)
	}
	millionths, err := inMicro(args.text[n.start:n.end])
	if err != nil {
		return 0, fmt.Errorf("args.%s %w", m.Amount, err)
	}
	return millionths, nil
}

// inMicro reads a JSON number as whole millionths, exactly or not at all.
func inMicro(text string) (int64, error) {
	digits, exponent, negative := decimalParts(text, nil)
	if len(digits) == 0 {
		return 0, nil
	}
	if negative {
		return 0, errors.New("is negative, which cannot be summed")
	}
	exponent += 6
	if exponent < 0 {
		return 0, errors.New("has more than six decimals, which cannot be summed exactly")
	}
	if len(digits)+exponent > 19 {
		return 0, errOverflow
	}
	n, err := strconv.ParseInt(string(digits)+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, errOverflow
	}
	return n, nil
}

// Tally is what a meter says: calls, and millionths where it sums.
type Tally struct {
	Count int64 `json:"count,omitempty"`
	Micro int64 `json:"micro,omitempty"`
	// Overflow: the sum did not fit; whatever asks for it errs.
	Overflow bool `json:"overflow,omitempty"`
}

// Add adds calls, or says by Overflow that they do not fit.
func (t *Tally) Add(count, millionths int64) {
	if count > math.MaxInt64-t.Count || millionths > math.MaxInt64-t.Micro {
		t.Overflow = true
		return
	}
	t.Count += count
	t.Micro += millionths
}

// Units is the sum as a double that is exactly it, or an error.
func (t Tally) Units() (float64, error) {
	if t.Overflow {
		return 0, errOverflow
	}
	if t.Micro%micro == 0 {
		return float64(t.Micro / micro), nil // below 2^53, so exact
	}
	if t.Micro >= 1<<53 {
		return 0, errors.New("the sum cannot be held exactly")
	}
	return float64(t.Micro) / micro, nil
}

// errUnread says that a decision asks for what was not loaded for it.
var errUnread = errors.New("the ledger was not read for this decision")

// Tally answers a meter for the judged call: the ledger, the calls of this turn
// that go out before it, and the call itself where the meter counts it. It errs
// where the call has not the values that are counted by, where an amount cannot
// be summed, and where the sum does not fit.
//
// Facts without any ledger (examples, cases) stand for one that holds just
// Facts.Released.
func (in *Input) Tally(m *Meter) (Tally, error) {
	account, err := m.Account(in.Facts, in.Args)
	if err != nil {
		return Tally{}, err
	}
	t, read := in.Facts.Ledger[account]
	if !read {
		if in.Facts.Ledger != nil {
			return Tally{}, errUnread
		}
		for _, r := range in.Facts.Released {
			if in.Facts.Now.Sub(r.At) >= m.Window {
				continue
			}
			// Of a call that went out, what cannot be summed adds nothing: see postings.
			if err := in.tallyOther(m, account, r, &t, false); err != nil {
				return Tally{}, err
			}
		}
	}
	for _, r := range in.Provisional {
		if err := in.tallyOther(m, account, r, &t, true); err != nil {
			return Tally{}, err
		}
	}
	if m.Counts(in.Call.Name) {
		amount := int64(0)
		if m.Amount != "" {
			if amount, err = m.amountOf(in.Args); err != nil {
				return Tally{}, err
			}
		}
		t.Add(1, amount)
	}
	if t.Overflow {
		return Tally{}, errOverflow
	}
	return t, nil
}

// tallyOther adds another call of the requester, if it is in the same account.
// exact says that an amount that cannot be summed is an error.
func (in *Input) tallyOther(m *Meter, account string, r Released, t *Tally, exact bool) error {
	if !m.Counts(r.Name) {
		return nil
	}
	args, err := r.ReadArguments()
	if err != nil {
		return err
	}
	if other, err := m.Account(in.Facts, args); err != nil || other != account {
		return nil // it has no such value, so it is in nobody's account
	}
	amount := int64(0)
	if m.Amount != "" {
		if amount, err = m.amountOf(args); err != nil && exact {
			return err
		}
	}
	t.Add(1, amount)
	return nil
}

// ReadArguments reads the arguments of a call that went out. What is no JSON
// object can only have come from a custom tool.
func (r *Released) ReadArguments() (*Arguments, error) {
	args, err := ReadArguments(Call{Arguments: r.Arguments})
	if err != nil {
		args, err = ReadArguments(Call{Form: FormCustom, Arguments: r.Arguments})
	}
	return args, err
}
