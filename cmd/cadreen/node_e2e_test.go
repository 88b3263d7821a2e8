package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// clientPrograms holds the conversations with the real JavaScript clients.
var clientPrograms = filepath.Join("..", "..", "proxy", "clienttest")

// installClients runs npm ci once where it has not been run.
var installClients = sync.OnceValues(func() (string, error) {
	if _, err := os.Stat(filepath.Join(clientPrograms, "node_modules", "openai")); err == nil {
		return "", nil
	}
	npm := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = clientPrograms
	out, err := npm.CombinedOutput()
	return string(out), err
})

// order is what a program is told: see proxy/clienttest/conversation.mjs.
type order struct {
	Mode       string            `json:"mode"`
	Provider   string            `json:"provider,omitempty"`
	User       []string          `json:"user"`
	Tools      []json.RawMessage `json:"tools"`
	Results    map[string]string `json:"results,omitempty"`
	MaxRetries int               `json:"maxRetries"`
	AbortAfter int               `json:"abortAfter,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
}

// told is what the program saw.
type told struct {
	Turns []struct {
		Content *string `json:"content"`
		Finish  string  `json:"finish"`
		Calls   []struct {
			ID       string `json:"id"`
			Function struct{ Name, Arguments string }
		} `json:"calls"`
		Steps []struct {
			Finish string `json:"finish"`
			Calls  []struct {
				ID    string          `json:"id"`
				Name  string          `json:"name"`
				Input json.RawMessage `json:"input"`
			} `json:"calls"`
		} `json:"steps"`
		Gate    string   `json:"gate"`
		TraceID string   `json:"trace_id"`
		IDs     []string `json:"ids"`
		Aborted bool     `json:"aborted"`

		Intelligence json.RawMessage `json:"intelligence"`
	} `json:"turns"`
	Ran []struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"ran"`
	Error *struct {
		Class   string `json:"class"`
		Message string `json:"message"`
		Status  *int   `json:"status"`
		Code    string `json:"code"`
		Error   struct {
			TraceID string `json:"trace_id"`
			Hint    string `json:"hint"`
		} `json:"error"`
		RequestID string `json:"requestID"`
	} `json:"error"`
}

func node(t *testing.T, p *proxyUnderTest, script string, o order, key string) told {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is not on PATH: the tests drive the real JavaScript clients, install Node.js 20 or newer")
	}
	out, err := installClients()
	require.NoError(t, err, "npm ci in proxy/clienttest: %s", out)
	o.Tools = []json.RawMessage{json.RawMessage(refundToolJSON), json.RawMessage(lookupToolJSON)}
	given, err := json.Marshal(o)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, script, string(given))
	cmd.Dir = clientPrograms
	cmd.Env = append(os.Environ(), "CADREEN_URL="+p.url, "CADREEN_KEY="+key)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var got told
	require.NoError(t, json.Unmarshal(text, &got), string(text))
	return got
}

// nodeCall has characters that JSON.parse and JSON.stringify would change.
var nodeCall = refund("call_node", `{"order_id":"Z\u00fcrich 12345678901234567890", "amount" : 750.00}`)

// A whole conversation by each way of the openai package: asked, yes, released
// to the character, run, summed up.
func TestOpenAINodeClient(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		for mode, stream := range map[string]bool{"create": false, "stream": true, "helper": true, "runTools": false, "runToolsStream": true} {
			t.Run(mode, func(t *testing.T) {
				model.Next(turnOf(stream, "", nodeCall), turnOf(stream, "All done."))
				got := node(t, p, "openai.mjs", order{Mode: mode, User: []string{"Refund it", "yes"}, Results: map[string]string{"process_refund": "refunded"}}, keyAnn)
				require.Nil(t, got.Error)
				require.Contains(t, *got.Turns[0].Content, promptFirst)
				require.Equal(t, "stop", got.Turns[0].Finish)
				require.Len(t, got.Ran, 1)
				require.Equal(t, nodeCall.Arguments, got.Ran[0].Arguments)
				require.Equal(t, "All done.", *got.Turns[len(got.Turns)-1].Content)
				require.Zero(t, model.Pending())
				if strings.HasPrefix(mode, "runTools") {
					return
				}
				require.Equal(t, "tool_calls", got.Turns[1].Finish)
				require.Equal(t, "call_node", got.Turns[1].Calls[0].ID)
				require.Equal(t, nodeCall.Arguments, got.Turns[1].Calls[0].Function.Arguments)
			})
			t.Run(mode+" no", func(t *testing.T) {
				model.Next(turnOf(stream, "", nodeCall))
				got := node(t, p, "openai.mjs", order{Mode: mode, User: []string{"Refund it", "no"}}, keyAnn)
				require.Nil(t, got.Error)
				require.Empty(t, got.Ran)
				require.Contains(t, *got.Turns[1].Content, "skipped")
			})
		}
	})
}

func TestVercelAISDK(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		for _, provider := range []string{"openai", "compatible"} {
			for mode, stream := range map[string]bool{"generate": false, "stream": true} {
				t.Run(provider+" "+mode, func(t *testing.T) {
					// A read goes at once, the refund is asked about, and after the yes it
					// runs: several steps in one call of the SDK.
					model.Next(turnOf(stream, "", lookupCall), turnOf(stream, "Found it.", nodeCall), turnOf(stream, "All done."))
					got := node(t, p, "vercel.mjs", order{Mode: mode, Provider: provider, User: []string{"Look it up and refund it", "yes"}}, keyAnn)
					require.Nil(t, got.Error)
					require.Len(t, got.Turns[0].Steps, 2)
					require.Equal(t, "tool-calls", got.Turns[0].Steps[0].Finish)
					require.Contains(t, *got.Turns[0].Content, promptFirst)
					require.Len(t, got.Turns[1].Steps, 2)
					require.Equal(t, "call_node", got.Turns[1].Steps[0].Calls[0].ID)
					require.JSONEq(t, `{"order_id":"Zürich 12345678901234567890","amount":750}`, string(got.Turns[1].Steps[0].Calls[0].Input))
					require.Equal(t, "All done.", *got.Turns[1].Content)
					require.Len(t, got.Ran, 2)
				})
				t.Run(provider+" "+mode+" no", func(t *testing.T) {
					model.Next(turnOf(stream, "", nodeCall))
					got := node(t, p, "vercel.mjs", order{Mode: mode, Provider: provider, User: []string{"Refund it", "no"}}, keyAnn)
					require.Nil(t, got.Error)
					require.Empty(t, got.Ran)
					require.Contains(t, *got.Turns[1].Content, "skipped")
				})
			}
		}
	})
}

func TestNodeClientsSeeErrors(t *testing.T) {
	p, model := startScripted(t, setup{})
	t.Run("openai, wrong key", func(t *testing.T) {
		got := node(t, p, "openai.mjs", order{Mode: "create", User: []string{"hi"}, MaxRetries: 2}, "sk_cadreen_unknown_0123456789")
		require.NotNil(t, got.Error)
		require.Equal(t, "AuthenticationError", got.Error.Class)
		require.Equal(t, "unauthorized", got.Error.Code)
		require.NotEmpty(t, got.Error.Error.TraceID)
		require.Equal(t, got.Error.Error.TraceID, got.Error.RequestID)
	})
	t.Run("vercel, wrong key", func(t *testing.T) {
		got := node(t, p, "vercel.mjs", order{Mode: "generate", User: []string{"hi"}}, "sk_cadreen_unknown_0123456789")
		require.NotNil(t, got.Error)
		require.Equal(t, 401, *got.Error.Status)
	})
	h := scripted.Head{}
	for name, c := range map[string]struct{ script, mode string }{"openai raw loop": {"openai.mjs", "stream"}, "openai helper": {"openai.mjs", "helper"}, "vercel": {"vercel.mjs", "stream"}} {
		t.Run(name+", upstream gone", func(t *testing.T) {
			model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "half")), scripted.Cut())...))
			got := node(t, p, c.script, order{Mode: c.mode, User: []string{"hi"}}, keyAnn)
			require.NotNil(t, got.Error, "a broken stream must not look complete")
		})
	}
}

// CLIENTS 15: a client that leaves its stream cancels the model.
func TestNodeClientThatLeavesCancelsTheModel(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	model.Next(scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "one")), scripted.Stall())...))
	got := node(t, p, "openai.mjs", order{Mode: "stream", User: []string{"hi"}, AbortAfter: 1}, keyAnn)
	require.Nil(t, got.Error)
	require.True(t, got.Turns[0].Aborted)
	<-model.Last().Gone()
}
