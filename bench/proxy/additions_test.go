package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABodyIsComparedWithoutTheDocumentedAdditions(t *testing.T) {
	const (
		reply  = `{"id":"a","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0} }`
		stream = "data: {\"id\":\"a\",\"n\":1}\n\ndata: {\"id\":\"a\",\"n\":2}\r\n\r\n: gate\ndata: [DONE]\n\n"
	)
	tests := []struct {
		name, body, reference string
		equal                 bool
	}{
		{"as it came", reply, reply, true},
		{"another id", `{"id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0} }`, reply, true},
		{"additions at the end", `{"id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0},"conversation_id":"c","trace_id":"t","gate":"ok","status":"answered","next_action":{"type":"none","label":"a, b"} }`, reply, true},
		{"an addition first", `{"gate":"ok","id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0} }`, reply, true},
		{"a number written anew", `{"id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1} }`, reply, false},
		{"a blank lost", `{"id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage":{"n":1.0} }`, reply, false},
		{"a field nobody documents", `{"id":"b","choices":[{"message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0},"cost":1 }`, reply, false},
		{"an addition within", `{"id":"b","choices":[{"gate":"ok","message":{"content":"x, \"gate\": }"}}],"usage": {"n":1.0} }`, reply, false},
		{"cut", reply[:40], reply, false},
		{"empty", "", reply, false},
		{"a stream", "data: {\"id\":\"b\",\"n\":1,\"trace_id\":\"t\"}\n\ndata: {\"id\":\"b\",\"n\":2,\"gate\":\"ok\"}\r\n\r\n: gate\ndata: [DONE]\n\n", stream, true},
		{"a stream with two ids", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"c\",\"n\":2}\r\n\r\n: gate\ndata: [DONE]\n\n", stream, false},
		{"a stream without its end", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"b\",\"n\":2}\r\n\r\n: gate\n", stream, false},
		{"a stream with another line end", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"b\",\"n\":2}\n\n: gate\ndata: [DONE]\n\n", stream, false},
		{"a stream with a heartbeat", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"b\",\"n\":2}\r\n\r\n: gate\ndata: [DONE]\n\n", stream, true},
		{"a stream with a finish too many", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"b\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"b\",\"n\":2}\r\n\r\n: gate\ndata: [DONE]\n\n", stream, false},
		{"a stream with a chunk too many", "data: {\"id\":\"b\",\"n\":1}\n\ndata: {\"id\":\"b\"}\n\ndata: {\"id\":\"b\",\"n\":2}\r\n\r\n: gate\ndata: [DONE]\n\n", stream, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := same([]byte(tt.body), []byte(tt.reference), true)
			require.Equal(t, tt.equal, err == nil, "%v", err)
		})
	}
}

func TestWithoutAdditionsABodyMustBeTheVeryBytes(t *testing.T) {
	require.NoError(t, same([]byte(`{"id":"a"}`), []byte(`{"id":"a"}`), false))
	require.Error(t, same([]byte(`{"id":"b"}`), []byte(`{"id":"a"}`), false))
	require.Error(t, same([]byte(`{"id":"a","gate":"ok"}`), []byte(`{"id":"a"}`), false))
}
