package openai

import "slices"

// Upstream are the edits that make the body for the model: our own fields are cut
// out, and with a model of the operator's it takes the place of the client's, and
// temperature goes. There are none where the model gets Body itself.
func (r *Request) Upstream(model string) []Edit {
	cut := slices.Clone(r.ours)
	if model != "" && r.heat.Present() {
		cut = append(cut, r.heat)
	}
	if len(cut) == 0 && model == "" {
		return nil
	}
	var insert []byte
	var edits []Edit
	if model != "" {
		if r.model.Present() {
			edits = append(edits, Edit{r.model, Quote(nil, model)})
		} else {
			insert = Quote([]byte(`"model":`), model)
		}
	}
	return append(edits, r.doc.cutMembers(root, insert, cut...)...)
}

// cutMembers cuts members out of an object, each with one comma beside it, and
// puts insert (members without commas around them) at its beginning. It sorts
// cut in place and goes through it beside the members: a model server says how
// many of both there are.
func (d *document) cutMembers(n int32, insert []byte, cut ...Span) []Edit {
	slices.SortFunc(cut, func(x, y Span) int { return x.Start - y.Start })
	edits := make([]Edit, 0, len(cut)+1)
	stays := false // a member before the next one stays
	begin := d.span(n).Start + 1
	end := begin
	for m := d.inside(n); m.next(); {
		goes := len(cut) > 0 && cut[0] == m.member().Span()
		for len(cut) > 0 && cut[0].Start <= m.Key.Start {
			cut = cut[1:]
		}
		switch {
		case !goes:
			stays = true
		case stays:
			// The comma before it goes with it.
			edits = append(edits, Edit{Span{end, m.Value.End}, nil})
		default:
			// Nothing stands before it: the comma behind it goes with it.
			stop := m.Value.End
			if comma := blanks(d.b, stop); d.b[comma] == ',' {
				stop = blanks(d.b, comma+1)
			}
			edits = append(edits, Edit{Span{m.Key.Start, stop}, nil})
		}
		end = m.Value.End
	}
	if len(insert) > 0 {
		if stays {
			insert = append(slices.Clip(insert), ',')
		}
		edits = slices.Insert(edits, 0, Edit{Span{begin, begin}, insert})
	}
	return edits
}
