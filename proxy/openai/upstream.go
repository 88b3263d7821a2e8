package openai

import "slices"

// Upstream is the body for the model: our own fields are cut out, and with a
// model of the operator's it takes the place of the client's, and temperature
// goes. Where nothing is to be changed it is Body itself.
func (r *Request) Upstream(model string) []byte {
	cut := slices.Clone(r.ours)
	if model != "" && r.heat.Key.Present() {
		cut = append(cut, r.heat)
	}
	if len(cut) == 0 && model == "" {
		return r.Body
	}
	var insert []byte
	var edits []Edit
	if model != "" {
		if r.model.Key.Present() {
			edits = append(edits, Edit{r.model.Value, Quote(nil, model)})
		} else {
			insert = Quote([]byte(`"model":`), model)
		}
	}
	spans := make([]Span, len(cut))
	for i, m := range cut {
		spans[i] = m.Span()
	}
	edits = append(edits, cutMembers(r.Body, r.object, insert, spans...)...)
	return Splice(make([]byte, 0, len(r.Body)+len(insert)+len(model)), r.Body, edits...)
}

// cutMembers cuts members out of an object, each with one comma beside it, and
// puts insert (members without commas around them) at its beginning.
func cutMembers(b []byte, value Span, insert []byte, cut ...Span) []Edit {
	var edits []Edit
	left := 0 // members before the next one that stay
	total := 0
	for o := members(b, value); o.next(); {
		if !slices.Contains(cut, o.Member.Span()) {
			total++
		}
	}
	at := value.Start + 1
	if len(insert) > 0 {
		with := insert
		if total > 0 {
			with = append(slices.Clip(insert), ',')
		}
		edits = append(edits, Edit{Span{at, at}, with})
	}
	end := at // end of the member before
	for o := members(b, value); o.next(); {
		if !slices.Contains(cut, o.Member.Span()) {
			left++
			end = o.Value.End
			continue
		}
		if left > 0 {
			// The comma before it goes with it.
			edits = append(edits, Edit{Span{end, o.Value.End}, nil})
			end = o.Value.End
			continue
		}
		// Nothing stands before it: the comma behind it goes with it.
		stop := blanks(b, o.Value.End)
		if b[stop] == ',' {
			stop = blanks(b, stop+1)
		} else {
			stop = o.Value.End
		}
		edits = append(edits, Edit{Span{o.Key.Start, stop}, nil})
		end = stop
	}
	return edits
}
