package cel

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // rules must mean the same on a machine without zone files

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

func (a *activation) inHours(_ string, args ...ref.Val) ref.Val {
	name, ok1 := args[0].(types.String)
	span, ok2 := args[1].(types.String)
	if !ok1 || !ok2 {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	zone, err := zoneOf(string(name))
	if err != nil {
		return types.WrapErr(err)
	}
	from, to, err := parseHours(string(span))
	if err != nil {
		return types.WrapErr(err)
	}
	local := a.in.Facts.Now.In(zone)
	minute := local.Hour()*60 + local.Minute()
	if from < to {
		return types.Bool(minute >= from && minute < to)
	}
	return types.Bool(minute >= from || minute < to)
}

func (a *activation) weekday(_ string, args ...ref.Val) ref.Val {
	name, ok := args[0].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	zone, err := zoneOf(string(name))
	if err != nil {
		return types.WrapErr(err)
	}
	return types.String(strings.ToLower(a.in.Facts.Now.In(zone).Weekday().String()))
}

var zones sync.Map // name to *time.Location; only real zones, so bounded

func zoneOf(name string) (*time.Location, error) {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), nil
	}
	// "" and "Local" would mean the machine's zone: not the same everywhere.
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("a time zone is missing: write one like Europe/Berlin or UTC")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %.60q: write one like Europe/Berlin or UTC", name)
	}
	zones.Store(name, zone)
	return zone, nil
}

// parseHours reads "9-17", "09:30-17:00" or "22-6" (over midnight) as minutes of
// the day. "0-24" is the whole day; a span without length is refused.
func parseHours(span string) (from, to int, err error) {
	a, b, ok := strings.Cut(span, "-")
	if ok {
		var okA, okB bool
		from, okA = minuteOf(a)
		to, okB = minuteOf(b)
		ok = okA && okB && from != to && from < 24*60
	}
	if !ok {
		return 0, 0, fmt.Errorf(`%.40q are no hours: write them like "9-17", "09:30-17:00" or "22-6"`, span)
	}
	return from, to, nil
}

func minuteOf(s string) (int, bool) {
	hour, minute, withMinutes := strings.Cut(strings.TrimSpace(s), ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	if err != nil || h > 24 || len(hour) > 2 {
		return 0, false
	}
	m := uint64(0)
	if withMinutes {
		if m, err = strconv.ParseUint(minute, 10, 8); err != nil || m > 59 || len(minute) != 2 {
			return 0, false
		}
	}
	return int(h*60 + m), h*60+m <= 24*60
}
