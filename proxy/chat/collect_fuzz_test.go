package chat

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// joined is a call as a client puts it together that knows nothing but indexes: what is repeated is appended, as some
// do, and the first word kept as well, as others do.
type joined struct {
	id, firstID, name, firstName, arguments string
}

func (j *joined) add(id, name, arguments string) {
	if j.firstID == "" {
		j.firstID = id
	}
	if j.firstName == "" {
		j.firstName = name
	}
	j.id, j.name, j.arguments = j.id+id, j.name+name, j.arguments+arguments
}

// clientOf joins the fragments of choice 0 with encoding/json. false: a client would not have read a chunk.
func clientOf(chunks [][]byte) (list []*joined, ok bool) {
	by := map[int]*joined{}
	for _, chunk := range chunks {
		var o struct {
			Choices []struct {
				Index int
				Delta struct {
					Calls []struct {
						Index    int
						ID       string
						Function *struct{ Name, Arguments string }
						Custom   *struct{ Name, Input string }
					} `json:"tool_calls"`
				}
			}
		}
		if json.Unmarshal(chunk, &o) != nil {
			return nil, false
		}
		for _, c := range o.Choices {
			if c.Index != 0 {
				continue
			}
			for _, f := range c.Delta.Calls {
				j := by[f.Index]
				if j == nil {
					j = &joined{}
					by[f.Index], list = j, append(list, j)
				}
				name, arguments := "", ""
				if f.Function != nil {
					name, arguments = f.Function.Name, f.Function.Arguments
				}
				if f.Custom != nil {
					name, arguments = name+f.Custom.Name, arguments+f.Custom.Input
				}
				j.add(f.ID, name, arguments)
			}
		}
	}
	return list, true
}

// FuzzCollector feeds any deltas, one a line. What is judged is all that can leave as it came: a client that joins by
// index puts together the same calls, whether it appends names and ids or keeps the first.
func FuzzCollector(f *testing.F) {
	f.Add([]byte(`"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]` + "\n" + `"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]`))
	f.Add([]byte(`"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}},{"index":1,"id":"b","function":{"name":"g","arguments":"["}}]` + "\n" + `"tool_calls":[{"index":1,"function":{"arguments":"]"}},{"index":0,"function":{"arguments":"}"}}]`))
	f.Add([]byte(`"tool_calls":[{"id":"a","type":"custom","custom":{"name":"sql","input":"\ud83d"}}]` + "\n" + `"tool_calls":[{"custom":{"input":"\ude00"}}]`))
	f.Add([]byte(`"function_call":{"name":"f","arguments":"{"}` + "\n" + `"function_call":{"arguments":"}"},"content":"x"`))
	f.Add([]byte(`"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]` + "\n" + `"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]`))
	f.Fuzz(func(t *testing.T, input []byte) {
		c := newCollector(1 << 20)
		var chunks [][]byte
		for line := range bytes.SplitSeq(input, []byte("\n")) {
			chunk := append(append([]byte(`{"choices":[{"index":0,"delta":{`), line...), `}}]}`...)
			var v openai.View
			if v.Parse(chunk) != nil {
				continue // such a chunk is not passed on
			}
			chunks = append(chunks, chunk)
			for i := range v.Choices {
				if ch := &v.Choices[i]; len(ch.Calls) > 0 || ch.HasLegacy {
					c.delta(v.Data, ch)
					c.finish(ch.Index, "tool_calls")
				}
			}
		}
		c.truncate()
		var own []governance.Call
		for _, call := range c.sealed.Calls() {
			require.LessOrEqual(t, call.Index, openai.MaxCalls)
			if call.Choice == 0 && call.Form != governance.FormLegacy {
				own = append(own, call)
			}
			if call.Malformed != "" {
				return // blocked, so nothing of it leaves
			}
		}
		if !c.asCame(0) {
			return
		}
		seen, ok := clientOf(chunks)
		if !ok {
			return
		}
		require.Len(t, seen, len(own))
		for i, call := range own {
			require.Equal(t, joined{call.ID, call.ID, call.Name, call.Name, call.Arguments}, *seen[i])
		}
	})
}
