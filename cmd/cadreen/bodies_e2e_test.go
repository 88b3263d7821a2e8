package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A body that is refused says where it is wrong, in bytes or by its path.
func TestARefusedBodySaysWhere(t *testing.T) {
	p, model := startScripted(t, setup{})
	good := newChat("hi").body()
	for name, c := range map[string]struct{ body, says, param string }{
		"duplicate name":        {strings.Replace(good, `"tools"`, `"messages":[],"tools"`, 1), "messages", ""},
		"nested duplicate":      {strings.Replace(good, `"role":"user"`, `"role":"user","role":"system"`, 1), "/messages/0", ""},
		"duplicate in a tool":   {strings.Replace(good, `"type":"number"`, `"type":"number","type":"string"`, 1), "/tools/0/function/parameters/properties/amount", ""},
		"duplicate in our own":  {strings.Replace(good, `"model"`, `"context":{"a":1,"a":2},"model"`, 1), "/context", ""},
		"trailing bytes":        {good + ` {}`, "byte", ""},
		"trailing zero":         {good + "\x00", "byte", ""},
		"invalid UTF-8":         {strings.Replace(good, "hi", "h\xff", 1), "byte", ""},
		"invalid in a name":     {strings.Replace(good, `"model"`, "\"x\xc3\":1,\"model\"", 1), "byte", ""},
		"overlong UTF-8":        {strings.Replace(good, "hi", "h\xc0\xaf", 1), "byte", ""},
		"raw surrogate":         {strings.Replace(good, "hi", "h\xed\xa0\x80", 1), "byte", ""},
		"over-deep":             {strings.Replace(good, `"model"`, `"x":`+strings.Repeat(`[`, 200)+strings.Repeat(`]`, 200)+`,"model"`, 1), "128", ""},
		"control character":     {strings.Replace(good, "hi", "h\ni", 1), "byte", ""},
		"cut off":               {good[:len(good)-1], "", ""},
		"no messages":           {`{"model":"x"}`, "messages", "messages"},
		"messages no array":     {`{"messages":"hi"}`, "messages", "messages"},
		"empty messages":        {`{"messages":[]}`, "messages", "messages"},
		"a message no object":   {`{"messages":["hi"]}`, "messages[0]", "messages[0]"},
		"no role":               {`{"messages":[{"content":"hi"}]}`, "messages[0].role", "messages[0].role"},
		"n out of range":        {newChat("hi").with(`,"n":1000`).body(), "n", "n"},
		"n no integer":          {newChat("hi").with(`,"n":1.5`).body(), "n", "n"},
		"stream no boolean":     {newChat("hi").with(`,"stream":"yes"`).body(), "stream", "stream"},
		"long conversation_id":  {newChat("hi").with(`,"conversation_id":"` + strings.Repeat("x", 300) + `"`).body(), "conversation_id", "conversation_id"},
		"number as an id":       {newChat("hi").with(`,"conversation_id":7`).body(), "conversation_id", "conversation_id"},
		"a tool offered twice":  {`{"messages":[{"role":"user","content":"hi"}],"tools":[` + lookupToolJSON + `,` + lookupToolJSON + `]}`, "get_order", "tools[1]"},
		"a tool without a name": {`{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{}}]}`, "tools[0]", "tools[0]"},
		"tools no array":        {newChat("hi").without().with(`,"tools":{}`).body(), "tools", "tools"},
	} {
		t.Run(name, func(t *testing.T) {
			r := p.post(c.body)
			require.Equal(t, 400, r.status, r.body)
			var o struct {
				Error struct{ Code, Message, Param, Type string }
			}
			require.NoError(t, json.Unmarshal([]byte(r.body), &o))
			require.Equal(t, "invalid_request", o.Error.Code)
			require.Contains(t, o.Error.Message, c.says)
			if c.param != "" {
				require.Equal(t, c.param, o.Error.Param)
			}
			require.Empty(t, model.Requests())
		})
	}
}

// JSON that is odd and still one document goes through, to the byte.
func TestOddButGoodBodiesPass(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Otherwise(turnOf(false, "fine"))
	for name, body := range map[string]string{
		"white space":      " \r\n\t" + newChat("hi").body() + "\n\n",
		"lone surrogate":   `{"messages":[{"role":"user","content":"\ud83d"}]}`,
		"same name deeper": `{"messages":[{"role":"user","content":"hi"}],"x":{"messages":[1]}}`,
		"case variant":     `{"messages":[{"role":"user","content":"hi"}],"Seed":1,"seed":2}`,
		"deep":             `{"messages":[{"role":"user","content":"hi"}],"x":` + strings.Repeat("[", 120) + strings.Repeat("]", 120) + `}`,
		"no model":         `{"messages":[{"role":"user","content":"hi"}]}`,
		"developer":        `{"messages":[{"role":"developer","content":"be brief"},{"role":"user","content":"hi"}]}`,
		"null everywhere":  `{"messages":[{"role":"user","content":"hi","name":null,"tool_calls":null}],"tools":null,"tool_choice":null,"n":null,"stream":null,"user":null,"stream_options":null,"metadata":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := p.post(body)
			require.Equal(t, 200, r.status, r.body)
			require.Equal(t, body, string(model.Last().Body))
		})
	}
}

func TestACompressedBodyIsRefused(t *testing.T) {
	p, model := startScripted(t, setup{})
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(newChat("hi").body()))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for _, coding := range []string{"gzip", "br", "deflate, gzip", "zstd", "GZIP"} {
		r := p.post(b.String(), "Content-Encoding", coding)
		require.Equal(t, 415, r.status, r.body)
		require.Contains(t, r.body, `"code":"invalid_request"`)
	}
	require.Empty(t, model.Requests())
	model.Next(turnOf(false, "fine"))
	require.Equal(t, 200, p.post(newChat("hi").body(), "Content-Encoding", "identity").status)
}

// The limit of a body, with and without its length announced.
func TestTheLimitOfABody(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Otherwise(turnOf(false, "fine"))
	send := func(size int, announced bool) (int, string) {
		head, tail := `{"messages":[{"role":"user","content":"`, `"}]}`
		body := head + strings.Repeat("x", size-len(head)-len(tail)) + tail
		r, err := http.NewRequestWithContext(t.Context(), "POST", p.url+"/chat/completions", io.MultiReader(strings.NewReader(body)))
		require.NoError(t, err)
		if announced {
			r.ContentLength = int64(len(body))
		}
		r.Header.Set("Authorization", "Bearer "+keyAnn)
		// The refusal comes while the body is still on its way: it is read beside
		// the writing, and that the server then hangs up is as it should be.
		conn, err := net.Dial("tcp", r.URL.Host)
		require.NoError(t, err)
		defer conn.Close()
		go func() { _ = r.Write(conn) }()
		res, err := http.ReadResponse(bufio.NewReader(conn), r)
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(text)
	}
	for _, announced := range []bool{true, false} {
		sofar := len(model.Requests())
		status, body := send(32<<20, announced)
		require.Equal(t, 200, status, body)
		require.Len(t, model.Requests(), sofar+1)
		require.Len(t, model.Last().Body, 32<<20)
		status, body = send(32<<20+1, announced)
		require.Equal(t, 400, status, body)
		require.Contains(t, body, `"code":"invalid_request"`)
		require.Contains(t, body, "33554432")
		require.Len(t, model.Requests(), sofar+1)
	}
}
